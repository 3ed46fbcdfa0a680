/* fork.pml: whose pins are they after fork()?
 *
 * fork() copies every view of a process and no pin behind it: parent and child would both subtract
 * from the same counter, and the tensor would be freed under one of them. Counting in the child is
 * no way out: only the forking thread lives there, other threads were anywhere. So the ledger
 * is frozen (lib/src/shm/ledger.hpp, lib/src/client/fork_guard.hpp):
 *
 *   before fork()   frozen = 1 in every ledger of this process (a seq_cst store)
 *   a view goes     [gone] it is unreachable; then [ask] load frozen; then subtract only if it was 0
 *   afterwards      new attaches, in both processes, go through a connection of their own; the store
 *                   lets go of the old one at once, on both sides of the fork
 *   the old socket  each process closes its copy when nothing of it holds the connection any more:
 *                   no view, no attach under way, and not its store
 *   hang-up         after the last copy is closed, the daemon drops the ledger and all its pins
 *
 * A tree of processes: the root forks, and so may its children, FORKS times in all, in any order.
 * In each of them a thread forks while another one drops what it inherited, and attaches anew, ATTACHES
 * times in all (with ATTACHER only in that process); a fork may come at any point of that, and then the
 * child has what that thread held at that instant, and nobody who would let go of it before the child ends. One tensor, which the
 * daemon marks as dying at any time, and frees as soon as it may: each ledger's counter is 0, or its
 * socket has hung up. (How it learns of that, and how it is told by a frozen ledger, is pin.pml's
 * subject.)
 *
 * Memory. As in pin.pml: plain stores pass through a store buffer. Only the mutant PLAIN_FREEZE has
 * one; fork() itself is not assumed to drain it.
 *
 * Checked
 *   1. The tensor is not freed while any process can reach a view of it (assertions).
 *   2. It is freed in the end: nothing is kept once every view is gone. A daemon that waits for
 *      ever is an invalid end state. With IDLE the processes do not end, and do not use their
 *      stores again either: then what keeps it is not made good by the end of a process. (No fork comes
 *      in the middle of an attach or a drop then, for that does keep it until the child ends.) With RUDE
 *      they may end with views that they hold.
 *
 * Mutants (each must fail, run_models says how)
 *   NO_FREEZE       both processes go on counting
 *   FREEZE_AFTER    the ledger is frozen after the fork, in the parent
 *   FREEZE_OLDEST   of several ledgers that a process has, a fork freezes only that of the root
 *   PLAIN_FREEZE    frozen is set by an ordinary store
 *   ASK_FIRST       frozen is loaded while the view can still be reached
 *   NO_HOLD_OFF     a fork does not wait for a connection that another thread is making
 *   SHUTDOWN        a process ends the connection for everybody (shutdown) where it should close
 *   CLOSE_EARLY     a child closes its copies of sockets at once, though it holds views
 *   KEEP_SOCKET     a child keeps its copies of sockets open when it has no view any more
 *   STORE_HOLDS     IDLE: a store keeps the old connection until it is used again
 */

#ifndef FORKS
#define FORKS 2
#endif
#ifndef ATTACHES
#define ATTACHES 1
#endif
#define PROCESSES (FORKS + 1)
#ifndef LEDGERS
#define LEDGERS (FORKS + 1)           /* the root's, and some for who connects anew */
#endif
#ifdef ATTACHER
#define MAY_ATTACH(p) (p == ATTACHER) /* that one process, so that two forks can be searched */
#else
#define MAY_ATTACH(p) true
#endif
#define OF(p, l) ((p) * LEDGERS + (l))

/* ---- the ledgers, in memory shared by all who have them mapped, and by the daemon ---- */
bool frozen[LEDGERS] = false;
byte counter[LEDGERS] = 0;
byte ledgers = 1;                     /* so many have been made */

/* ---- the kernel ---- */
byte socket_copies[LEDGERS] = 0;
bool was_shut_down[LEDGERS] = false;  /* in a mutant only */
#define HUNG_UP(l) (socket_copies[l] == 0 || was_shut_down[l])

/* ---- the processes' own memory, copied by fork ---- */
bool is_open[PROCESSES * LEDGERS] = false;      /* its copy of the socket */
bool registered[PROCESSES * LEDGERS] = false;   /* for freezing */
byte holders[PROCESSES * LEDGERS] = 0;          /* of the connection: views, attaches under way, the store */
byte reachable[PROCESSES * LEDGERS] = 0;        /* views */
byte current[PROCESSES] = 0;                    /* the ledger of the store's connection */
bool store_holds[PROCESSES] = false;            /* it does not, once it let go after a fork */
bool connecting[PROCESSES] = false;             /* the mutex of hold_off_forks() */
byte processes = 1;
byte threads[PROCESSES] = 0;

byte attaches = 0;                              /* of all processes, so far */

#if LEDGERS == 1
#define NOTHING_REACHABLE(p) (reachable[OF(p, 0)] == 0)
#elif LEDGERS == 2
#define NOTHING_REACHABLE(p) (reachable[OF(p, 0)] == 0 && reachable[OF(p, 1)] == 0)
#else
#define NOTHING_REACHABLE(p) (reachable[OF(p, 0)] == 0 && reachable[OF(p, 1)] == 0 && reachable[OF(p, 2)] == 0)
#endif

/* ---- the daemon ---- */
bool dying = false;
bool freed = false;

#ifdef PLAIN_FREEZE
bool freeze_buffered[LEDGERS] = false;
active proctype store_buffer() {
  byte l = 0;
end:
  do
  :: d_step { freeze_buffered[0] -> frozen[0] = true; freeze_buffered[0] = false }
#if LEDGERS > 1
  :: d_step { freeze_buffered[1] -> frozen[1] = true; freeze_buffered[1] = false }
#endif
#if LEDGERS > 2
  :: d_step { freeze_buffered[2] -> frozen[2] = true; freeze_buffered[2] = false }
#endif
  od
}
#endif

inline close_socket(p, l) {
  if
  :: is_open[OF(p, l)] ->
     is_open[OF(p, l)] = false;
#ifdef SHUTDOWN
     was_shut_down[l] = true;
#endif
     socket_copies[l] = socket_copies[l] - 1
  :: else
  fi
}

/* One holder of the connection fewer; it goes with the last. To be called in an atomic sequence. */
inline let_go(p, l) {
  holders[OF(p, l)] = holders[OF(p, l)] - 1;
  if
#ifdef KEEP_SOCKET
  :: holders[OF(p, l)] == 0 && p == 0 -> close_socket(p, l)
#else
  :: holders[OF(p, l)] == 0 -> close_socket(p, l)
#endif
  :: else
  fi
}

inline freeze_all(p) {
#ifdef NO_FREEZE
  skip
#else
  i = 0;
  do
  :: i == LEDGERS -> break
  :: i < LEDGERS ->
     if
#ifdef FREEZE_OLDEST
     :: registered[OF(p, i)] && !frozen[i] && i == 0 ->
#else
     :: registered[OF(p, i)] && !frozen[i] ->
#endif
#ifdef PLAIN_FREEZE
        freeze_buffered[i] = true
#else
        frozen[i] = true
#endif
     :: else
     fi;
     i++
  od
#endif
}

/* The store of a process lets go of a connection that is frozen. */
inline store_lets_go(p) {
#ifdef STORE_HOLDS
  skip
#else
  if
  :: store_holds[p] && frozen[current[p]] -> store_holds[p] = false; let_go(p, current[p])
  :: else
  fi
#endif
}

/* A view on ledger l of process p goes. */
inline unpin(p, l) {
  if
  :: !was_frozen -> counter[l] = counter[l] - 1
  :: was_frozen
  fi
}
inline drop_view(p, l) {
#ifdef IDLE
  atomic {
    reachable[OF(p, l)] = reachable[OF(p, l)] - 1;
    was_frozen = frozen[l];
    unpin(p, l);
    let_go(p, l);
    was_frozen = false
  }
#else
#ifdef ASK_FIRST
  was_frozen = frozen[l];
  reachable[OF(p, l)] = reachable[OF(p, l)] - 1;       /* [gone] */
#else
  reachable[OF(p, l)] = reachable[OF(p, l)] - 1;       /* [gone] */
  was_frozen = frozen[l];                              /* [ask] */
#endif
  atomic { unpin(p, l); let_go(p, l); was_frozen = false }
#endif
}

/* The last thread of a process to end ends the process, and the kernel closes what it had open. */
inline thread_ends(p) {
  atomic {
    threads[p] = threads[p] - 1;
#ifndef IDLE
    if
    :: threads[p] == 0 ->
       i = 0;
       do
       :: i == LEDGERS -> break
       :: i < LEDGERS ->
          close_socket(p, i);
          reachable[OF(p, i)] = 0;
          holders[OF(p, i)] = 0;
          registered[OF(p, i)] = false;
          i++
       od;
       current[p] = 0;
       store_holds[p] = false
    :: else
    fi;
#endif
    i = 0
  }
}

proctype forker(byte p) {
  byte i = 0, q = 0;
  do
  :: atomic { processes < PROCESSES && !connecting[p] ->
#ifndef NO_HOLD_OFF
       connecting[p] = true;
#endif
#ifndef FREEZE_AFTER
       freeze_all(p);
#endif
       i = 0
     }
     /* fork(): one instant at which the child's memory is the parent's. */
     atomic {
       if
       :: processes < PROCESSES ->
          q = processes;
          processes++;
          i = 0;
          do
          :: i == LEDGERS -> break
          :: i < LEDGERS ->
             reachable[OF(q, i)] = reachable[OF(p, i)];
             holders[OF(q, i)] = holders[OF(p, i)];
             registered[OF(q, i)] = registered[OF(p, i)];
             is_open[OF(q, i)] = is_open[OF(p, i)];
             if
             :: is_open[OF(q, i)] -> socket_copies[i] = socket_copies[i] + 1
             :: else
             fi;
             i++
          od;
          current[q] = current[p];
          store_holds[q] = store_holds[p];
          connecting[q] = false;
          i = 0;
#ifdef CLOSE_EARLY
          do
          :: i == LEDGERS -> break
          :: i < LEDGERS -> close_socket(q, i); i++
          od;
          i = 0;
#endif
          store_lets_go(q);            /* before fork() returns there */
          threads[q] = 2;
          run user(q);
          run forker(q)
       :: else                         /* another process was faster: no room for more in this model */
       fi;
       q = 0
     }
#ifdef FREEZE_AFTER
     atomic { freeze_all(p); i = 0 }
#endif
     atomic { store_lets_go(p); connecting[p] = false }
  :: true -> break                     /* or no fork */
  od;
  thread_ends(p)
}

/* Drops what the process has, and attaches anew. */
proctype user(byte p) {
  byte l = 0, i = 0;
  bool was_frozen = false, holds = false;
  do
  /* ---- a view that it has ---- */
  :: reachable[OF(p, 0)] > 0 -> assert(!freed); drop_view(p, 0)
#if LEDGERS > 1
  :: reachable[OF(p, 1)] > 0 -> assert(!freed); drop_view(p, 1)
#endif
#if LEDGERS > 2
  :: reachable[OF(p, 2)] > 0 -> assert(!freed); drop_view(p, 2)
#endif
  /* ---- another attach (StoreState::connection, Connection::try_slot) ---- */
#if ATTACHES > 0
  :: atomic { attaches < ATTACHES && !dying && MAY_ATTACH(p) -> attaches++;
       /* weak_ptr::lock() */
       if
       :: is_open[OF(p, current[p])] ->
          l = current[p]; holders[OF(p, l)] = holders[OF(p, l)] + 1; holds = true
       :: else
       fi
     }
     atomic {
       if
       :: holds && frozen[l] -> let_go(p, l); holds = false
       :: else
       fi
     };
     if
     :: atomic { holds -> skip }
     :: atomic { !holds && !connecting[p] -> connecting[p] = true }
        /* reconnect(): one thread at a time, and no fork meanwhile. */
        if
        :: atomic { ledgers < LEDGERS ->
             l = ledgers; ledgers++;
             is_open[OF(p, l)] = true; socket_copies[l] = 1;
             holders[OF(p, l)] = 1;    /* whoever made it */
             holds = true
           }
           atomic {
             registered[OF(p, l)] = true;
             if
             :: store_holds[p] -> let_go(p, current[p])
             :: else
             fi;
             current[p] = l; store_holds[p] = true; holders[OF(p, l)] = holders[OF(p, l)] + 1;
             connecting[p] = false
           }
        :: atomic { ledgers == LEDGERS -> connecting[p] = false }   /* no more in this model: it gives up */
        fi
     fi;
     if
     :: atomic { holds -> counter[l] = counter[l] + 1 }             /* [pin] */
        if
        :: atomic { !dying -> assert(!freed); reachable[OF(p, l)] = reachable[OF(p, l)] + 1 }
        :: dying ->                    /* the pin is taken back; nothing was read */
           was_frozen = frozen[l];
           atomic { unpin(p, l); let_go(p, l); was_frozen = false }
        fi
     :: atomic { !holds -> skip }
     fi;
     atomic { holds = false; l = 0 }
#endif
#ifdef RUDE
  :: true -> break                     /* it may end with views that it holds */
#else
  :: NOTHING_REACHABLE(p) -> break
#endif
  od;
  thread_ends(p)
}

proctype daemon() {
  byte l = 0;
  dying = true;                        /* [mark]: at any time, for this process may wait */
  do
  :: l == LEDGERS -> break
  :: l < LEDGERS -> atomic { counter[l] == 0 || HUNG_UP(l) -> l++ }
  od;
  freed = true;
  d_step {
    l = 0;
    do
    :: l == PROCESSES * LEDGERS -> break
    :: l < PROCESSES * LEDGERS -> assert(reachable[l] == 0); l++
    od
  }
}

init {
  atomic {
    /* The root has one view on its first ledger, and its store. */
    counter[0] = 1;
    reachable[0] = 1;
    holders[0] = 2;
    registered[0] = true;
    is_open[0] = true;
    socket_copies[0] = 1;
    store_holds[0] = true;
    threads[0] = 2;
    run user(0);
    run forker(0);
    run daemon()
  }
}
