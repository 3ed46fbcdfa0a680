/* fork.pml: whose pins are they after fork()?
 *
 * fork() copies every view of a process and no pin behind it: parent and child would both subtract
 * from the same counter, and the tensor would be freed under one of them. Counting in the child is
 * no way out: only the forking thread lives there, other threads were anywhere. So the ledger
 * is frozen (lib/src/shm/ledger.hpp, lib/src/client/fork_guard.hpp):
 *
 *   before fork()   frozen = 1 in every ledger of this process (a seq_cst store)
 *   a view goes     [gone] it is unreachable; then [ask] load frozen; then subtract only if it was 0
 *   afterwards      new attaches, in both processes, go through a connection of their own
 *   the old socket  each process closes its copy when its own last view on that ledger goes and
 *                   nothing is attached through it any more, that is, when it is frozen
 *   hang-up         after the last copy is closed, the daemon drops the ledger and all its pins
 *
 * One ledger with a view on each of two slots, held by two threads of the parent, which drop them
 * at any time. Meanwhile a third thread forks FORKS times. Each child drops what it inherited, in
 * its own time. The daemon deleted both tensors at the start and frees each as soon as it may: its counter
 * is 0, or the ledger's socket has hung up. (How it learns of that is pin.pml's subject.)
 *
 * Memory. As in pin.pml: plain stores pass through a store buffer. Only the mutant PLAIN_FREEZE has
 * one; fork() itself is not assumed to drain it.
 *
 * Checked
 *   1. A tensor is not freed while any process can reach a view of it (assertions).
 *   2. Both are freed in the end: nothing is kept once every view is gone. A daemon that waits for
 *      ever is an invalid end state.
 *
 * Mutants (each must fail, run_models says how)
 *   NO_FREEZE       both processes go on counting
 *   FREEZE_AFTER    the ledger is frozen after the fork, in the parent
 *   PLAIN_FREEZE    frozen is set by an ordinary store
 *   ASK_FIRST       frozen is loaded while the view can still be reached
 *   SHUTDOWN        the parent ends the connection for everybody (shutdown) where it should close
 *   CLOSE_EARLY     a child closes its copy of the socket at once, though it holds views
 *   KEEP_SOCKET     a child keeps its copy of the socket open when it has no view any more
 */

#ifndef FORKS
#define FORKS 2
#endif
#define VIEWS 2                       /* of the parent, view v on slot v */

/* ---- the ledger, in memory shared by all ---- */
bool frozen = false;
byte counter[VIEWS] = 1;

/* ---- the kernel ---- */
byte socket_copies = 1;
bool was_shut_down = false;           /* in a mutant only */
#define HUNG_UP (socket_copies == 0 || was_shut_down)

/* ---- the parent's memory ---- */
bool reachable[VIEWS] = true;
byte parent_views = VIEWS;            /* views that still hold the connection */
bool parent_socket_open = true;
bool no_more_forks = false;

/* ---- the children's memory: child c's copy of view v ---- */
bool child_reachable[FORKS * VIEWS] = false;

/* ---- the daemon ---- */
bool freed[VIEWS] = false;

#ifdef PLAIN_FREEZE
bool freeze_buffered = false;
active proctype store_buffer() {
end:
  do
  :: d_step { freeze_buffered -> frozen = true; freeze_buffered = false }
  od
}
#define FIRST_THREAD 1
#else
#define FIRST_THREAD 0
#endif

inline freeze() {
#ifdef NO_FREEZE
  skip
#else
#ifdef PLAIN_FREEZE
  freeze_buffered = true
#else
  frozen = true
#endif
#endif
}

/* The connection object of a process goes with its last holder: its views, and, until the ledger
 * is frozen, the store, which wants it for new attaches. */
inline close_in_parent_if_unused() {
  atomic {
    if
    :: parent_views == 0 && (frozen || no_more_forks) && parent_socket_open ->
       parent_socket_open = false;
#ifdef SHUTDOWN
       was_shut_down = true;
#endif
       socket_copies = socket_copies - 1
    :: else
    fi
  }
}

active [VIEWS] proctype parent_thread() {
  byte v = _pid - FIRST_THREAD;
  bool was_frozen;
  assert(!freed[v]);                  /* it reads the bytes, now and again */
  assert(!freed[v]);
#ifdef ASK_FIRST
  was_frozen = frozen;
  reachable[v] = false;               /* [gone] */
#else
  reachable[v] = false;               /* [gone] */
  was_frozen = frozen;                /* [ask] */
#endif
  if
  :: !was_frozen -> counter[v] = counter[v] - 1
  :: was_frozen
  fi;
  parent_views = parent_views - 1;
  close_in_parent_if_unused()
}

active proctype forking_thread() {
  byte forks = 0;
  do
  :: forks == FORKS -> break
  :: forks < FORKS ->
#ifndef FREEZE_AFTER
     freeze();
#endif
     /* fork(): one instant at which the child's memory is the parent's. */
     atomic {
       if
       :: parent_socket_open -> socket_copies = socket_copies + 1
       :: else -> break               /* no view is left, so a child inherits none */
       fi;
       child_reachable[forks * VIEWS] = reachable[0];
       child_reachable[forks * VIEWS + 1] = reachable[1];
       run child(forks)
     }
#ifdef FREEZE_AFTER
     freeze();
#endif
     forks++
  :: true -> break                    /* or fewer forks, or none */
  od;
  /* A parent that never forked keeps its connection for new attaches, until it ends. */
  no_more_forks = true;
  close_in_parent_if_unused()
}

proctype child(byte me) {
  byte v = 0;
#ifdef CLOSE_EARLY
  socket_copies = socket_copies - 1;
#endif
  do
  :: v == VIEWS -> break
  :: v < VIEWS ->
     if
     :: child_reachable[me * VIEWS + v] ->
        assert(!freed[v]);
        assert(!freed[v]);
        child_reachable[me * VIEWS + v] = false;
        if
        :: !frozen -> counter[v] = counter[v] - 1   /* in mutants only: it was frozen first */
        :: else
        fi
     :: else
     fi;
     v++
  od;
#if !defined(CLOSE_EARLY) && !defined(KEEP_SOCKET)
  socket_copies = socket_copies - 1
#endif
}

active proctype daemon() {
  byte v = 0;
  do
  :: freed[0] && freed[1] -> break
  :: else ->
     if
     :: !freed[0] && (counter[0] == 0 || HUNG_UP) -> v = 0
     :: !freed[1] && (counter[1] == 0 || HUNG_UP) -> v = 1
     fi;
     freed[v] = true;
     assert(!reachable[v]);
     assert(!child_reachable[v]);
#if FORKS > 1
     assert(!child_reachable[VIEWS + v])
#endif
  od
}
