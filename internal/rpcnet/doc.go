// Package rpcnet is the edge of Tandem's network: connections, codecs, order,
// limits, deadlines and fault injection around net/rpc. Both services stand on
// it; it knows nothing of either.
//
// Every connection begins as plain net/rpc with gob, and stays so unless both ends
// know better. A client made by rpc.Dial can call a [Server], and a [Transport] can
// call a plain rpc.Server; what is added lies below or beside that format:
//
//   - Compact frames. A Transport that names methods whose arguments and replies are
//     [Compact] asks a server, in its first call on a connection, whether it knows
//     them; if so, both write frames of their own from then on (compact.go has the
//     format). A call has a name of one byte then, and no gob.
//   - Batches. Whoever has something to write does so itself, as far as that needs no
//     waiting, and takes along what others add meanwhile; a goroutine has the rest.
//     Calls that are started together ([Queue], Transport.Flush), and answers that are
//     given together (Conn.Answer, Conn.Flush), leave in one write.
//   - Dispatch. A receiver that is [Direct] takes calls in compact frames on the reading
//     goroutine, and is told when no more have come, so that it can pass them on
//     together. Calls in gob, and those it does not want, are net/rpc's.
//   - Order. net/rpc starts a goroutine per call, and with it forgets in which
//     order the calls came. A Server tells the receiver about each call while
//     it is still on the reading goroutine ([Arriver]), and a Transport writes
//     calls in the order in which they were started.
//   - Progress. No call has a deadline of its own but its context: a value may
//     be 16 MiB, and a long poll may last. A connection is closed only when
//     nothing has moved on it for a stated time although something is owed; a
//     quiet connection is asked for a sign of life (Conn.Echo) before that.
//   - Abandonment. The end of a context abandons a call, never the connection.
//     The reply object of an abandoned call is never seen by its caller again.
//   - Limits. Connections, calls in flight, frames, and the bytes of frames that
//     are being read are bounded; a frame's length is checked before anything
//     is allocated for it.
//   - Outcome. An error says whether the request may have run: [ErrNotSent]
//     says that it never will, every other error of the transport leaves it
//     open.
//   - Faults. Loss, delay, cuts and frozen peers are injected here, per RPC and
//     seeded, so that no protocol code needs to know of them ([Faults]).
package rpcnet
