package store

// Limits are what a server allows. They are local to it: replicas may differ,
// because what decides the effect of an entry is written into its command by
// the primary that orders it (rule L6). A field that is zero or negative takes
// its default.
type Limits struct {
	// MaxKey bounds a key, in bytes. 64 KiB.
	MaxKey int
	// MaxValue bounds a value, in bytes, also one that an Append would make.
	// 16 MiB.
	MaxValue int
	// MaxSessions bounds the session table. 65,536. At the bound a new session
	// takes the place of those that have been idle for SpareIdleMillis; if there
	// are none, it is not opened, and those that exist go on.
	MaxSessions int
	// SpareIdleMillis is how long a session must have been idle to be given up
	// for a new one when the table is full, in milliseconds of the log's time. A
	// minute, which is far longer than a request is retried without success
	// while the group serves.
	SpareIdleMillis int64
	// ReplyBudget bounds the bytes of stored replies that hold data, together.
	// 64 MiB. A reply beyond it costs the sessions that have been idle longest
	// and hold such a reply; one that alone exceeds it is kept all the same.
	ReplyBudget int
	// SessionTTLMillis is how long a session lives without being used, in
	// milliseconds of the log's time. Half an hour.
	SessionTTLMillis int64
	// ExpireEveryMillis is the least time between two expiry commands that
	// Housekeeping returns, in milliseconds. Ten seconds.
	ExpireEveryMillis int64

	// PageBytes bounds a page of a scan, in bytes of keys and values; a page
	// with one pair may exceed it. 1 MiB.
	PageBytes int
	// PagePairs bounds a page of a scan in pairs. 10,000.
	PagePairs int
	// MaxCursors bounds the snapshots held for scans. 64. Each costs the
	// memory of what has been overwritten since it was taken.
	MaxCursors int
	// CursorTicks is how many ticks a scan's snapshot is held without being
	// read from. 600.
	CursorTicks int
}

// DefaultLimits returns the limits that a server has unless told otherwise.
func DefaultLimits() Limits { return Limits{}.withDefaults() }

func (l Limits) withDefaults() Limits {
	orElse(&l.MaxKey, 64<<10)
	orElse(&l.MaxValue, 16<<20)
	orElse(&l.MaxSessions, 65_536)
	orElse(&l.SpareIdleMillis, 60*1000)
	orElse(&l.ReplyBudget, 64<<20)
	orElse(&l.SessionTTLMillis, 30*60*1000)
	orElse(&l.ExpireEveryMillis, 10*1000)
	orElse(&l.PageBytes, 1<<20)
	orElse(&l.PagePairs, 10_000)
	orElse(&l.MaxCursors, 64)
	orElse(&l.CursorTicks, 600)
	return l
}

func orElse[T int | int64](field *T, otherwise T) {
	if *field <= 0 {
		*field = otherwise
	}
}
