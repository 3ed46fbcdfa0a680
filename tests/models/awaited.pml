/* awaited.pml: is everybody woken who sleeps until a live tensor changes?
 *
 * To wake is a system call, so a writer makes it only if somebody has said that he sleeps
 * (lib/src/shm/live_header.hpp, [wake] and [calm]; client/live.cpp). Most readers cannot write where a
 * writer looks, so the daemon does it for them, when it hears of it, if it does:
 *
 *   reader                                   writer
 *     [look]   seen = word                     [begin]  word += 1: odd, by compare-and-swap
 *     [ask]    a hint to the daemon            [calm]   now and then: awaited = 0
 *     [again]  word == seen?                   [end]    word += 1: even
 *     [heard]  awaited?                        [wake]   awaited, or was it I who cleared it? wake all
 *     [sleep]  the kernel: word == seen?
 *              yes: sleep                    daemon
 *              heard: until somebody wakes     a hint: awaited = 1
 *              unheard: for a moment
 *
 * Each of WRITERS changes the tensor CHANGES times. Each of READERS looks, and sleeps, until it has seen the
 * last change. [calm] is taken at any change: how often nobody was woken before is only a matter of cost.
 * Hints may get lost, or be heard at any later time.
 *
 * Memory. All of it is sequentially consistent: the words are changed by locked instructions, and the
 * kernel's look at the word is behind a full barrier. The mutant PLAIN_END has a store buffer.
 *
 * Checked
 *   Nobody sleeps for ever: a reader that was heard and is never woken is an invalid end state.
 *
 * Mutants (each must fail, run_models says how)
 *   NO_RELOOK     one falls asleep without a look at the word
 *   TRUSTING      who has sent a hint sleeps as if it had been heard
 *   HEARD_FIRST   awaited is looked at before the word
 *   PLAIN_END     the word turns even by an ordinary store, without a fence
 *   ASK_EARLY     the writer looks at awaited before the word turns even
 *   CALM_LATE     awaited is cleared after the word turned even
 *   CALM_SILENTLY who cleared awaited does not wake
 */

#ifndef READERS
#define READERS 2
#endif
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef CHANGES
#define CHANGES 2
#endif
#define LAST (2 * WRITERS * CHANGES)

/* ---- the tensor's header ---- */
byte word = 0;
bool awaited = false;

/* ---- the kernel: who sleeps on the word ---- */
bool asleep[READERS] = false;

chan hints = [READERS] of { bit };

#ifdef PLAIN_END
bool end_buffered = false;
active proctype store_buffer() {
end:
  do
  :: d_step { end_buffered -> word = word + 1; end_buffered = false }
  od
}
#define FIRST_READER 1
#else
#define FIRST_READER 0
#endif

active [READERS] proctype reader() {
  byte me = _pid - FIRST_READER;
  byte seen = 0;
  bool heard = false;

  do
  :: true ->
#ifdef HEARD_FIRST
     heard = awaited;
#endif
     seen = word;                                   /* [look] */
     if
     :: seen == LAST -> break
     :: else
     fi;
     if
     :: !awaited && nfull(hints) -> hints ! 1       /* [ask] */
     :: true                                        /* said before, or the hint got lost */
     fi;
#ifndef HEARD_FIRST
#ifndef NO_RELOOK
     if
     :: word != seen -> goto next                   /* [again] */
     :: word == seen
     fi;
#endif
     heard = awaited;                               /* [heard] */
#endif
#ifdef TRUSTING
     heard = true;
#endif
     atomic {                                       /* [sleep] */
       if
#ifndef NO_RELOOK
       :: word != seen -> goto next
#endif
       :: else -> asleep[me] = true
       fi
     };
     if
     :: d_step { !asleep[me] -> skip }
     :: d_step { !heard && asleep[me] -> asleep[me] = false }
     fi;
next:
     skip;
     d_step { seen = 0; heard = false }
  od
}

inline wake_all() {
  d_step {
    i = 0;
    do
    :: i < READERS -> asleep[i] = false; i++
    :: else -> break
    od;
    i = 0
  }
}

active [WRITERS] proctype writer() {
  byte changes = 0;
  byte i = 0;
  bool wakes = false;

  do
  :: changes == CHANGES -> break
  :: changes < CHANGES ->
     atomic { word % 2 == 0 -> word = word + 1 };   /* [begin] */
#if !defined(CALM_LATE)
     if
     :: awaited = false; wakes = true               /* [calm] */
     :: true
     fi;
#endif
#ifdef ASK_EARLY
     wakes = wakes || awaited;
#endif
#ifdef PLAIN_END
     end_buffered = true;
#else
     word = word + 1;                               /* [end] */
#endif
#ifdef CALM_LATE
     if
     :: awaited -> wakes = true; awaited = false
     :: true
     fi;
#endif
#ifdef CALM_SILENTLY
     wakes = false;
#endif
     if
     :: wakes -> wake_all()                         /* [wake] */
#ifndef ASK_EARLY
     :: !wakes && awaited -> wake_all()
#endif
     :: else
     fi;
     d_step { wakes = false; changes++ }
#ifdef PLAIN_END
     !end_buffered                                  /* the next compare-and-swap is locked */
#endif
  od
}

active proctype daemon() {
end:
  do
  :: hints ? _ -> awaited = true
  od
}
