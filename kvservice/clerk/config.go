package clerk

import (
	"errors"

	"github.com/tandemkv/tandem"
)

// Config is what a clerk is told once.
type Config struct {
	// Group is the group of servers that holds the keys. Zero: the only one.
	Group uint32
	// MaxSessions bounds the sessions (rule C3), and so the updates under way
	// at once; further ones wait in the order in which they came. Zero is 256.
	MaxSessions int
	// AttemptTicks is how long an attempt may take before it is abandoned and
	// made again, in ticks. Zero is for ever, for transports on which a call
	// may be slow without being lost.
	AttemptTicks int
	// DoubtTicks is how long an attempt may take, in ticks, before the view
	// service is asked whether there is a newer view (rule C1: silence for so
	// long counts as an error). The attempt goes on meanwhile: a large value on
	// a slow link is no reason to send it twice, and a primary that has been
	// superseded without knowing it would never answer. Zero is never.
	DoubtTicks int
	// A retry waits for BackoffTicksMin after the first failure, then twice as
	// long each time, up to BackoffTicksMax (rule C2). Zero is 1 and 64.
	BackoffTicksMin, BackoffTicksMax int
	// Seed starts the generator that takes up to half off each wait, so that
	// many clients do not retry in step. Zero: nothing is taken off.
	Seed uint64
	// Observe, if not nil, is told which rule fired and why. It is called in
	// the middle of a step and must not call the clerk.
	Observe func(tandem.Observation)
}

// DefaultConfig returns the configuration for ticks of about 10 ms: an attempt
// is given half a minute, and doubted after a fifth of a second.
func DefaultConfig() Config {
	return Config{AttemptTicks: 3000, DoubtTicks: 20}.withDefaults()
}

func (c Config) withDefaults() Config {
	orElse(&c.MaxSessions, 256)
	orElse(&c.BackoffTicksMin, 1)
	orElse(&c.BackoffTicksMax, 64)
	c.BackoffTicksMax = max(c.BackoffTicksMax, c.BackoffTicksMin)
	return c
}

func orElse(field *int, otherwise int) {
	if *field <= 0 {
		*field = otherwise
	}
}

// The errors that the clerk has beside the codes of package tandem.
var (
	// ErrCanceled: the caller gave the request up.
	ErrCanceled = errors.New("request cancelled")
	// ErrClosed: the clerk was closed.
	ErrClosed = errors.New("client closed")
	// ErrSessionLost: the session under which the request was sent is gone, and
	// with it what would tell whether the request ran. The outcome is unknown.
	// It comes wrapped with the code that said so.
	ErrSessionLost = errors.New("session lost, outcome unknown")
)
