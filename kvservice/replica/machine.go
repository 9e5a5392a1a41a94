package replica

// Entry is one place in the log that the primary orders. An entry, once made,
// never changes; its payload is shared, not copied.
type Entry struct {
	Epoch   uint64 // number of the view in which it was ordered
	Index   uint64 // its place, from 1
	Time    int64  // the primary's clock in milliseconds; never falls from one entry to the next
	Payload []byte // a command of the Machine's
}

// Machine is what the log is applied to. The replica moves commands without
// understanding them; the Machine understands them and knows nothing of
// replication. It is owned by its Replica and called from wherever that is
// stepped; it must be deterministic (equal entries in equal order make equal
// machines, with equal replies).
type Machine interface {
	// Apply carries out a committed entry and returns its reply. Entries come
	// once each, in order (rule L4).
	Apply(Entry) []byte
	// Read answers a query from the present state.
	Read(query []byte) []byte
	// Duplicate returns the stored reply if (session, number) is the last
	// request that this session had executed (rule S3).
	Duplicate(session, number uint64) (reply []byte, ok bool)
	// Housekeeping returns a command that the primary should order of its own
	// accord, such as the expiry of sessions (rule S4), or nil. now is what the
	// entry's time would be.
	Housekeeping(now int64) []byte
	// Tick counts time for what is not replicated, such as open scans.
	Tick()
	// Snapshot returns the present state, as it will go on being whatever is
	// applied afterwards (rule T2).
	Snapshot() Snapshot
	// Empty returns a new machine with this one's settings and no state, into
	// which the chunks of a Snapshot can be loaded.
	Empty() Machine
	// Load adds a snapshot's next chunk. After an error the machine is useless.
	Load(chunk []byte) error
	// Loaded tells whether a whole snapshot has been loaded, so that entries may be
	// applied.
	Loaded() bool
	// Clone returns a machine that is equal and independent.
	Clone() Machine
	// AppendState appends a canonical encoding of the replicated state: equal
	// for equal states, different for different ones.
	AppendState([]byte) []byte
}

// Snapshot is a Machine's state at one index. It is immutable.
type Snapshot interface {
	// Chunk returns the chunk at position pos (nil: the first) and the position
	// of the next, nil after the last. A chunk is about max bytes, or one item
	// if that is larger; the chunk may be empty, and the same pos with the same max
	// always gives the same bytes.
	Chunk(pos []byte, max int) (chunk, next []byte)
	// Size returns how many bytes all chunks have together, about.
	Size() int
}
