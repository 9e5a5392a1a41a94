// Package clerk holds a client's rules as a pure state machine: which server to
// ask, when to ask the view service, when to try again and under which name,
// and what to tell the caller when the outcome cannot be known.
//
// A Clerk serves any number of requests at once. Events go in (a request, a
// reply, a failure, news of a view, a tick), and the effects that it wants
// (calls to make, requests that are done) collect until they are taken:
//
//	clerk.Start(id, request)
//	for effects := clerk.Take(); ...
//
// # Identity of a request
//
// An update is sent as (session, number), and a retry as the same (rule S1).
// A session serves one request at a time, so there are as many as updates are
// under way (rule C3); they are opened when needed, kept, and reused, the one
// used last first, so that few are kept alive. A number is used up when it is
// first handed out to be sent, whatever becomes of it.
//
// That is why a session can be reused at once after a request was cancelled
// with its outcome unknown. Let the cancelled request be number n, and the next
// n+1. A ghost of n, still on its way, either arrives before n+1 is executed,
// and runs, as an unknown outcome allows; or after, and is refused as stale.
//
// # A session that expired
//
// A server that refuses a request because its session is unknown has not
// executed that attempt, and no server ever will, since a session's id is never
// given again. If no other attempt has been sent, the request has not run and
// cannot run under that name. It is as good as new, and is sent under a new
// name. If another attempt had been sent, that one may have run before the
// session expired, and nobody is left who knows: the outcome is unknown.
//
// This takes for granted that the copies of one attempt, should a network make
// several, do not arrive on either side of their session's end. An RPC over a
// connection is one copy.
//
// # Outcomes
//
// An outcome is definite or unknown (rule S5). The clerk calls a request that
// did not succeed DidNotRun only if no attempt at it, other than the one that
// was refused for good, may have left. It does not count an attempt out because
// a server said that it was the wrong one and did not run it: should that
// server become the primary, a second copy would.
package clerk
