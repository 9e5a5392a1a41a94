package replica

import "github.com/tandemkv/tandem"

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
}

// Kind is the kind of a Message.
type Kind uint8

const (
	// Forward carries entries, the commit index and a probe for reads from the
	// primary to its backup (rules L1, R2).
	Forward Kind = iota + 1
	// Acknowledge says up to which index the backup has the log (rule L2).
	Acknowledge
	// Gap says that a Forward left a gap, and the last index held. It is never
	// an acknowledgement (rule L1).
	Gap
	// Chunk carries a piece of a transfer (rule T1).
	Chunk
	// ChunkTaken says how many chunks of a transfer the backup holds.
	ChunkTaken
	// Installed says that the backup has installed this epoch's transfer
	// (rule T3), and up to which index it has the log.
	Installed
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case Forward:
		return "Forward"
	case Acknowledge:
		return "Acknowledge"
	case Gap:
		return "Gap"
	case Chunk:
		return "Chunk"
	case ChunkTaken:
		return "ChunkTaken"
	case Installed:
		return "Installed"
	}
	return "unknown kind"
}

// Message is what one server tells another: one-way, and immutable once sent,
// with everything that its slices point to. It may be lost, repeated, delayed
// without bound and overtaken.
type Message struct {
	Kind Kind
	// View is the view in which it was sent, whole: its number is the message's
	// epoch, and a receiver that holds an older view may adopt it (rules N1, F1).
	View     tandem.View
	From, To tandem.Server

	// Seq counts what the primary has sent to this backup in this epoch, from
	// 1. Acknowledge, Gap, ChunkTaken and Installed bring back the highest Seq
	// that the backup has seen, except that a Gap brings back the Seq of the
	// Forward it refuses.
	Seq uint64

	// Index is: in a Forward, the index before its first entry; in an
	// Acknowledge or Installed, the last index that the backup has; in a Gap,
	// the last that it holds.
	Index   uint64
	Commit  uint64 // Forward: the primary's commit index
	Entries []Entry

	// Of Chunk: its number from 0; whether it is the last; the sum over all the
	// chunks' bytes, in the last; and the index, epoch and time of the last entry
	// that the snapshot includes. Of ChunkTaken: the number of chunks held.
	ChunkNumber uint64
	ChunkLast   bool
	ChunkSum    uint32
	SnapIndex   uint64
	SnapEpoch   uint64
	SnapTime    int64
	Data        []byte
}

// Size returns roughly how many bytes the message takes on the wire.
func (m *Message) Size() int {
	n := messageOverhead + len(m.Data)
	for i := range m.Entries {
		n += EntryOverhead + len(m.Entries[i].Payload)
	}
	return n
}

const messageOverhead = 256

// EntryOverhead is what an entry counts beyond its payload, in bytes, wherever
// entries are bounded by size.
const EntryOverhead = 64
