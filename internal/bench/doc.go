// Package bench loads a key/value store and measures what its clients see. The store
// is any [System]; that of this module is [Tandem]. [Run] makes one measurement; who
// breaks something meanwhile, or measures before, during and after, uses [Start] and
// cuts the time into windows ([Running.Cut]).
//
// A load is closed or open. In a closed loop each of N clients begins an operation when
// it has the answer to its last one, which measures how much the store does. In an open
// loop operations arrive at a rate, whatever the store does, and the latency of each
// counts from the moment at which it was meant to begin: what had to wait because the
// store stood still is not left out (coordinated omission). The clients are then the
// bound on what is under way at once.
//
// Every answer is checked, at a cost that is small beside that of an operation. It is
// possible because each key has one writer, which has one operation under way:
//
//   - Puts and CompareAndSwaps write numbers that grow by one. A read must find one that
//     is not less than any that was acknowledged or read before it began, and not more
//     than any that was asked for before it ended. For a register of one writer that is
//     all that linearizability says. Less is a stale read; what nobody wrote is wrong.
//   - A CompareAndSwap names the writer's last value and must find it. That it does not is
//     a write that was lost, or an older one that ran twice.
//   - Appends add their numbers to ledgers, each of which ends with its tail complete, in
//     order and without anything twice.
//   - PutHashes make chains: each must return what the one before it left.
//   - A Delete must find its key, which was put before.
//
// In the end everything is read back ([Running.ReadBack]): of each key nothing
// acknowledged may be missing. An operation whose outcome nobody knows may run at any
// later moment, so its key is not written again.
package bench
