// Package store holds what the entries of the log do: the data, and the table
// of sessions by which a request is executed at most once. It is a pure state
// machine, the replica.Machine that a key/value server applies its log to.
//
// # Data
//
// Keys and values are strings of arbitrary bytes. The empty key is a key like
// any other, and a key that holds "" is present. Where an operation looks at
// the value of an absent key (PutHash, Append, CompareAndSwap), it sees "".
//
// # Sessions
//
// A request names a session and a number (rule S1). The table keeps, for each
// session, the last number and its reply, and it is replicated like the data
// (rule S2). A session's id is the index of the log entry that opened it: no
// two entries share an index, so an id is never given twice, and a late ghost
// of an opening makes another session, which nobody uses and which expires; it
// cannot revive one that has expired and with it let an old request run again.
// Index zero does not exist, so id zero is free to mean "no session" (rule S6).
//
// # Time and limits
//
// Whatever decides the effect of an entry stands in the entry (rule L6): its
// time, and in its command the limits of the primary that ordered it. Limits
// themselves are local: they are written into commands on the way in, and
// bound what is not replicated, such as open scans.
//
// # Encodings
//
// Commands, queries, replies and snapshots have binary encodings of their own,
// since commands and snapshots outlive the process that wrote them. Each begins
// with a version and a tag. They are canonical: what decodes encodes to the
// same bytes again, and anything else (a number in a longer form than needed,
// a byte too many, a length beyond what is there) is an error. Integers are
// unsigned varints, signed ones zigzag; a string is its length and its bytes.
package store
