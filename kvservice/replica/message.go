package replica

import (
	"time"

	"github.com/tandemkv/tandem"
)

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
	// (rule T3), and acknowledges what it has.
	Installed
	// Offer says that a transfer of this epoch begins, and asks what the backup
	// holds (rule T4).
	Offer
	// Holds answers it: up to where the backup knows its log to be committed.
	Holds
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
	case Offer:
		return "Offer"
	case Holds:
		return "Holds"
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
	// 1. The backup's messages bring back the highest Seq that it has seen,
	// except that a Gap brings back the Seq of the Forward it refuses.
	Seq uint64

	// Index is: in a Forward, the index before its first entry; in an
	// Acknowledge or Installed, the last index that the backup has; in a Gap,
	// the last that it holds.
	Index   uint64
	Commit  uint64  // Forward: the primary's commit index
	Entries []Entry // of a Forward, and of a Chunk of a delta

	// Grace is, in what the backup says, for how long it promises to wait before
	// it takes over, counted from the last message it accepted (rule R3).
	Grace time.Duration

	// Of Chunk: its number from 0; whether it is the last; the sum over all the
	// chunks' bytes, in the last; and the index, epoch and time of the last entry
	// that the transfer includes. Of ChunkTaken: the number of chunks held.
	ChunkNumber uint64
	ChunkLast   bool
	ChunkSum    uint32
	SnapIndex   uint64
	SnapEpoch   uint64
	SnapTime    int64
	Data        []byte

	// Delta, of Chunk and ChunkTaken: the transfer is of the missing entries
	// (rule T4), not of the whole state. DeltaIndex and DeltaEpoch are, in Holds,
	// the backup's commit index and the epoch of the entry there; in a Chunk of a
	// delta, what it follows.
	Delta      bool
	DeltaIndex uint64
	DeltaEpoch uint64
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
