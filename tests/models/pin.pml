/* pin.pml: may a client look at a tensor's bytes while the daemon deletes it?
 *
 * Attach, detach and delete (lib/src/shm/slot.hpp, ledger.hpp) share three words and no lock:
 *
 *   client                                  daemon
 *     [touch]  ledger.touched |= chunk        [mark]  word = Dying
 *     [pin]    ledger.counter += 1            [scan]  touched? counter != 0?
 *     [check]  word: Published?                       no: the slot is Free and used again
 *     ...look at the bytes...                         yes: wait for a nudge or a hang-up
 *     [unpin]  ledger.counter -= 1
 *     [nudge]  was the last, word Dying? tell the daemon
 *
 * One slot, and one place for bytes in each of two segments. The daemon publishes and deletes
 * TENSORS tensors, one after the other, each in either segment. Two client threads attach
 * ATTACHES times each, at any moment; they have a ledger each, or share one (-DSHARED). A client
 * may be killed at the worst moments (-DKILL).
 *
 * A ledger counts against a segment only once the daemon has granted it that segment; otherwise
 * any client could keep any tensor alive. A pin that the daemon does not count protects nothing.
 * So a client that sees Published reads which segment it is, which may be torn from the next tensor
 * by then, and trusts nothing else before it knows that the segment is granted and has seen the
 * same word again. If it is not granted, the pin is undone, the grant asked for, and all begins again.
 * Here every client has been granted segment 1 long ago, and must ask for segment 0.
 *
 * Memory. spin interleaves whole steps: it is sequentially consistent, and x86 is not. So the store
 * buffer is written out: plain stores go into a queue that drains one by one at any later time, the
 * own processor sees them at once, and a locked instruction (seq_cst fetch_add, seq_cst store)
 * waits until its queue is empty. The daemon's plain stores always take this road; only [mark] is
 * locked. The clients' would, but touch, pin and unpin are all locked; the mutant PLAIN_PIN is not.
 *
 * Checked
 *   1. A client that holds a checked pin sees the descriptor and the bytes of the one tensor that it
 *      attached to, from the check to the unpin (assertions in `look`).
 *   2. No wake-up is lost: the daemon sleeps until a message comes, there is no sweep, and a Dying
 *      slot that nobody pins would leave it asleep for ever, which spin reports as an invalid end
 *      state. With -DLOSSY nudges may get lost, and the sweep alone (-DSWEEP) must save it.
 *
 * Mutants (each must fail, run_models says how)
 *   NO_CHECK          the word is not looked at after the pin
 *   PLAIN_PIN         the pin is an ordinary store, without a locked instruction or a fence
 *   PLAIN_MARK        the same for the daemon's mark
 *   SCAN_BEFORE_MARK  the daemon looks at the ledgers first
 *   TOUCH_LATE        the touched bit is set after the last look at the word
 *   EARLY_DESCRIPTOR  the descriptor was read before the pin
 *   NO_REVALIDATE     the word is not looked at again once the segment is known to be granted
 *   COUNT_AFTER_GRANT the daemon counts the client only after the client knows of its grant
 *   EARLY_NUDGE       whether to nudge is decided before the unpin
 *   SILENT_UNDO       taking back a pin does not nudge
 *   DEAF_TO_HANGUP    (with KILL) a hang-up does not make the daemon look again
 *   LOSSY             nudges get lost and there is no sweep
 */

#ifndef TENSORS
#define TENSORS 3
#endif
#ifndef ATTACHES
#define ATTACHES 2
#endif
#define THREADS 2
#ifdef SHARED
#define LEDGERS 1
#define LEDGER_OF(thread) 0
#else
#define LEDGERS 2
#define LEDGER_OF(thread) (thread)
#endif
mtype = { Free, Building, Published, Dying };       /* slot states */
mtype = { Grant, Granted, Nudge, HangUp };          /* messages to the daemon */
mtype = { State, Generation, SegmentField, NameField };  /* what a plain store of the daemon goes to */

/* ---- shared memory ---- */
mtype state = Free;          /* state and generation are one 64-bit word: */
byte generation = 1;         /* read in one step, and changed in one */
byte slot_segment = 0;       /* the descriptor: two fields stand for all of them, */
byte slot_name = 0;          /* written one after the other; the name says which tensor this is */
byte bytes_of[2] = 0;        /* whose bytes lie in each segment: a tensor's number, 0 anybody's */
bool touched[LEDGERS] = false;
byte counter[LEDGERS] = 0;

/* ---- the socket ---- */
chan inbox = [4] of { mtype, byte };                /* what, and the thread or ledger */
chan granted_reply[THREADS] = [1] of { bit };       /* to the thread that asked */
byte finished = 0;                                  /* threads */

#ifdef SHARED
bool mapped_0 = false;       /* the client's threads share what it has mapped */
#endif

/* ---- the daemon's store buffer ---- */
chan stores = [6] of { mtype, byte };

inline apply_store(what, value) {
  if
  :: what == State        -> state = value
  :: what == Generation   -> generation = value; state = Free   /* one word, one store */
  :: what == SegmentField -> slot_segment = value
  :: what == NameField    -> slot_name = value
  fi
}

active proctype daemon_store_buffer() {
  mtype what; byte value;
end:
  do
  :: d_step { stores ? what, value -> apply_store(what, value); what = 0; value = 0 }
  od
}

#ifdef PLAIN_PIN
/* One entry is enough: the mutant's only plain store is to the counter, which it overwrites. */
bool buffered[THREADS] = false;
byte buffered_value[THREADS];

active [THREADS] proctype client_store_buffer() {
  byte thread = _pid - 1;
end:
  do
  :: d_step { buffered[thread] -> counter[LEDGER_OF(thread)] = buffered_value[thread]; buffered[thread] = false }
  od
}
#endif

/* ---- clients ---- */

inline touch() {
  if
  :: touched[ledger]
  :: !touched[ledger] -> touched[ledger] = true
  fi
}

inline pin() {
#ifdef PLAIN_PIN
  d_step {
    if
    :: buffered[thread]  -> buffered_value[thread] = buffered_value[thread] + 1
    :: !buffered[thread] -> buffered_value[thread] = counter[ledger] + 1
    fi;
    buffered[thread] = true
  }
#else
  counter[ledger] = counter[ledger] + 1
#endif
}

inline unpin_and_nudge(may_nudge) {
#ifdef EARLY_NUDGE
  was_dying = (state == Dying);
#endif
#ifdef PLAIN_PIN
  !buffered[thread];          /* the unpin is locked: it waits for the own buffer */
#endif
  d_step { counter[ledger] = counter[ledger] - 1; left = counter[ledger] };
#ifdef KILL
  if :: true :: hang_up_on_exit = true; goto dead fi;
#endif
  if
  :: left > 0
  :: left == 0 ->
#ifdef EARLY_NUDGE
     if
     :: was_dying -> inbox ! Nudge, ledger
     :: else
     fi
#else
     if
     :: (state == Dying) && may_nudge ->
#ifdef LOSSY
        if :: inbox ! Nudge, ledger :: true fi
#else
        inbox ! Nudge, ledger
#endif
     :: else
     fi
#endif
  fi;
  left = 0
}

#ifdef SILENT_UNDO
#define UNDO_NUDGES false
#else
#define UNDO_NUDGES true
#endif

/* What a holder of a checked pin relies on; each line is a step, so anything may happen between. */
inline look() {
  assert(slot_name == wanted);
  assert(slot_segment == segment);
  assert(bytes_of[segment] == wanted);
  assert(bytes_of[segment] == wanted)
}

active [THREADS] proctype client() {
#ifdef PLAIN_PIN
  byte thread = _pid - 1 - THREADS;
#else
  byte thread = _pid - 1;
#endif
  byte ledger = LEDGER_OF(thread);
  byte attaches = 0;
  byte segment = 0;
  byte wanted = 0;          /* the tensor that the checked word belongs to; its name is its number */
  byte left = 0;
  bool ok = false;
#ifndef SHARED
  bool mapped_0 = false;    /* this client has mapped segment 0 */
#endif
#ifdef EARLY_NUDGE
  bool was_dying = false;
#endif
#ifdef KILL
  bool hang_up_on_exit = false;
#endif

  do
  :: attaches == ATTACHES -> break
  :: attaches < ATTACHES ->
     /* The index may name the slot at any time: it is a hint. */
again:
     ok = false;
#ifdef EARLY_DESCRIPTOR
     d_step { ok = (state == Published); wanted = generation; segment = slot_segment };
     if :: !ok -> goto next :: else fi;
#endif
#ifndef TOUCH_LATE
     touch();
#endif
     pin();
#ifdef KILL
     if :: true :: hang_up_on_exit = true; goto dead fi;
#endif
     /* [check] */
#ifdef NO_CHECK
     d_step { ok = true; wanted = generation };
#else
#ifdef EARLY_DESCRIPTOR
     ok = (state == Published);
#else
     d_step { ok = (state == Published); wanted = generation };
#endif
#endif
     if
     :: !ok -> unpin_and_nudge(UNDO_NUDGES); goto next
     :: else
     fi;
#ifndef EARLY_DESCRIPTOR
     segment = slot_segment;      /* a guess, until the word is seen again */
#endif
     if
     :: segment == 0 && !mapped_0 ->
        unpin_and_nudge(UNDO_NUDGES);
        inbox ! Grant, thread;
        granted_reply[thread] ? _;
#ifdef COUNT_AFTER_GRANT
        inbox ! Granted, thread;
#endif
        mapped_0 = true;
        goto again
     :: else
     fi;
#if !defined(NO_REVALIDATE) && !defined(EARLY_DESCRIPTOR) && !defined(NO_CHECK)
     ok = (state == Published && generation == wanted);
     if
     :: !ok -> unpin_and_nudge(UNDO_NUDGES); goto next
     :: else
     fi;
#endif
#ifdef TOUCH_LATE
     touch();
#endif
     look();
#ifdef KILL
     if :: true :: hang_up_on_exit = true; goto dead fi;
#endif
     unpin_and_nudge(true);
next:
     attaches++;
     d_step { ok = false; wanted = 0; segment = 0 }
  od;
#ifdef KILL
dead:
  if
  :: hang_up_on_exit -> inbox ! HangUp, ledger
  :: else
  fi;
#endif
  finished++
}

/* ---- the daemon ---- */

/* A locked instruction: everything before it has reached memory. */
inline drain_stores() { empty(stores) }

inline scan() {
  d_step { pinned = false; i = 0 };
  do
  :: i == LEDGERS -> break
  :: i < LEDGERS ->
     if
     :: !connected[i] || (segment == 0 && !counts[i])
     :: else ->
        /* Two reads, in this order; the counter's page does not exist before the bit is set. */
        if
        :: !touched[i]
        :: touched[i] ->
           if
           :: counter[i] > 0 -> pinned = true
           :: else
           fi
        fi
     fi;
     i++
  od;
  i = 0
}

active proctype daemon() {
  byte tensors = 0;             /* made so far; the number of one is its generation */
  byte segment = 0;             /* of the tensor in the slot: the daemon's own note, never read back */
  mtype mine = Free;            /* the slot's state, likewise */
  bool counts[LEDGERS] = false;  /* the ledgers that count against segment 0; all do against 1 */
  bool connected[LEDGERS] = true;
  bool look_again = false;
  bool pinned = false;
  byte i = 0, asking = 0;
  mtype what;

  do
  :: mine == Free && tensors < TENSORS ->
     tensors++;
     if :: segment = 0 :: segment = 1 fi;
     stores ! State, Building;
     stores ! SegmentField, segment;
     stores ! NameField, tensors;
     bytes_of[segment] = tensors;        /* by the builder, not through the daemon's buffer */
     stores ! State, Published;          /* release: a plain store on x86 */
     mine = Published

  :: mine == Published ->
     /* delete: the name has been taken out of the index */
#ifdef SCAN_BEFORE_MARK
     scan();
#endif
#ifdef PLAIN_MARK
     stores ! State, Dying;
#else
     atomic { drain_stores() -> state = Dying };
#endif
     mine = Dying;
#ifndef SCAN_BEFORE_MARK
     look_again = true
#else
     if
     :: pinned -> pinned = false         /* a nudge will come */
     :: else -> goto free_it
     fi
#endif

  :: mine == Dying && look_again ->
     look_again = false;
     scan();
     if
     :: pinned -> pinned = false
     :: else ->
free_it:
        bytes_of[segment] = 0;           /* anybody's now */
        stores ! Generation, tensors + 1;
        mine = Free
     fi

  :: inbox ? what, asking ->
     if
     :: what == Grant ->
#ifndef COUNT_AFTER_GRANT
        counts[LEDGER_OF(asking)] = true;
#endif
        granted_reply[asking] ! 1
     :: what == Granted -> counts[LEDGER_OF(asking)] = true
     :: what == Nudge -> look_again = (mine == Dying)
     :: what == HangUp ->
        connected[asking] = false;
#ifndef DEAF_TO_HANGUP
        look_again = (mine == Dying)
#endif
     fi;
     d_step { what = 0; asking = 0 }

#ifdef SWEEP
  :: timeout -> look_again = (mine == Dying); if :: mine != Dying -> break :: else fi
#endif

  :: mine == Free && tensors == TENSORS && finished == THREADS && empty(inbox) -> break
  od
}
