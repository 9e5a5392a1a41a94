package clerk

import "github.com/tandemkv/tandem"

// RequestID names a request. The caller chooses it; no two requests that are
// under way may have the same.
type RequestID uint64

// CallID names a call. The clerk counts them from 1.
type CallID uint64

// Request is what a caller wants. Exactly one of the pointers is set; what it
// points to must not change until the request is done.
type Request struct {
	// Put is an update, of any Op but OpOpenSession. Session, Number and Target
	// are the clerk's to fill in.
	Put *tandem.PutArgs
	// Get reads a key. Target is the clerk's to fill in.
	Get *tandem.GetArgs
	// Scan reads a page. Target is the clerk's to fill in. A page of a scan that
	// has begun (Scan.Scan is not zero) can only come from Origin; once that is
	// not the primary any more, the request is done with tandem.ErrScanLost.
	Scan *tandem.ScanArgs
	// Origin is Done.Origin of the scan's first page.
	Origin Origin
}

// Origin is where the pages of a scan come from. (The cluster belongs to it,
// since a scan is named by an index, and every cluster has those.)
type Origin struct {
	Addr    string
	Cluster uint64
}

// Call is an RPC to be made. Exactly one of the pointers is set; the arguments
// are the shell's (until it Recycles them), and share their strings with the
// Request's. The reply comes back through the method that bears its name.
type Call struct {
	ID   CallID
	Addr string
	Put  *tandem.PutArgs  // KVServer.Put, then PutReplied
	Get  *tandem.GetArgs  // KVServer.Get, then GetReplied
	Scan *tandem.ScanArgs // KVServer.Scan, then ScanReplied
}

// AskView is MonitorServer.Get to be called, with a wait of the shell's choice:
// until there is a view above Viewnum. There is one at most at a time, and it is
// answered by ViewReplied or ViewFailed.
type AskView struct {
	Viewnum uint   // the number held; zero: any view is news
	Cluster uint64 // zero: of any cluster
	Group   uint32
}

// Done is what a request came to.
type Done struct {
	ID RequestID
	// Err is nil if the request succeeded. Otherwise it is, or wraps, a
	// tandem.Err, ErrCanceled, ErrClosed or ErrSessionLost. tandem.ErrNoKey
	// goes together with DidRun.
	Err error
	// Outcome says whether the request has run (rule S5).
	Outcome tandem.Outcome

	// The reply, of the kind that was asked for, if there was one.
	Put  tandem.PutReply
	Get  tandem.GetReply
	Scan tandem.ScanReply
	// Origin is who answered a Scan.
	Origin Origin
}

// Effects are what a clerk wants done, in this order: the calls made, then
// calls abandoned (some may be of the same batch), then the view asked for,
// then the callers told.
type Effects struct {
	Calls   []Call
	Abandon []CallID // their replies and failures are of no interest
	Ask     []AskView
	Done    []Done
}

// Empty reports whether there is nothing to do.
func (e *Effects) Empty() bool {
	return len(e.Calls) == 0 && len(e.Abandon) == 0 && len(e.Ask) == 0 && len(e.Done) == 0
}
