package kvservice

import (
	"fmt"

	"github.com/tandemkv/tandem/internal/compact"
	"github.com/tandemkv/tandem/kvservice/replica"
)

// AppendCompact appends the batch's compact encoding.
func (b *Batch) AppendCompact(to []byte) []byte { return replica.AppendMessages(to, b.Messages) }

// DecodeCompact sets the batch to what AppendCompact encoded, in p and nothing
// else. The messages share no memory with p. After an error there are none; the
// error wraps compact.ErrMalformed and says what was wrong.
func (b *Batch) DecodeCompact(p []byte) error {
	*b = Batch{}
	messages, rest, err := replica.DecodeMessages(p)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%w: %d of %d bytes follow the end", compact.ErrMalformed, len(rest), len(p))
	}
	if err != nil {
		return fmt.Errorf("decoding a batch: %w", err)
	}
	b.Messages = messages
	return nil
}
