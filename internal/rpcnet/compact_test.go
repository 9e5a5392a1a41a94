package rpcnet

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// AppendCompact implements Compact.
func (m *Msg) AppendCompact(b []byte) []byte {
	return append(binary.AppendVarint(b, int64(m.N)), m.Text...)
}

// DecodeCompact implements Compact.
func (m *Msg) DecodeCompact(b []byte) error {
	n, k := binary.Varint(b)
	if k <= 0 {
		return errors.New("no number")
	}
	*m = Msg{N: int(n), Text: string(b[k:])}
	return nil
}

var probeMethods = []string{"Probe.Same", "Probe.Fail", "Probe.Long", "Probe.Wait"}

// compactly is whether the transports of tests propose compact frames. The servers
// always know how.
var compactly bool

func proposing(cfg TransportConfig) TransportConfig {
	if compactly {
		cfg.Compact = probeMethods
	}
	return cfg
}

// requireUnanswered requires that an error says all that can be known of a call to a
// peer that has never answered. Where compact frames were proposed to it, nothing else
// was sent.
func requireUnanswered(t testing.TB, err error) {
	t.Helper()
	if compactly {
		require.ErrorIs(t, err, ErrNotSent)
		require.NotErrorIs(t, err, ErrConnLost)
		return
	}
	require.ErrorIs(t, err, ErrConnLost)
	require.NotErrorIs(t, err, ErrNotSent)
}

// CompactMethods implements Direct.
func (p *probe) CompactMethods() []string { return probeMethods }

// Serve implements Direct: it answers Same and Fail itself, which leave when
// nothing else has come.
func (p *probe) Serve(method string, seq uint64, args []byte) bool {
	if method != "Probe.Same" && method != "Probe.Fail" {
		return false
	}
	p.took = true
	m := new(Msg)
	if err := m.DecodeCompact(args); err != nil {
		p.conn.Refuse(seq, err)
		return true
	}
	p.Arrived(method, m)
	if method == "Probe.Fail" {
		p.conn.Refuse(seq, p.Fail(m, nil))
		return true
	}
	p.w.locked(func() { p.w.ran = append(p.w.ran, m.N) })
	p.conn.Answer(seq, m, nil)
	return true
}

// Served implements Direct.
func (p *probe) Served() {
	if p.took {
		p.took = false
		p.conn.Flush()
	}
}

// Gone implements Direct.
func (p *probe) Gone() { p.w.locked(func() { p.w.gone++ }) }

// What the tests of transports, servers and faults show must hold in compact frames
// as well.
func TestEverythingHoldsInCompactFrames(t *testing.T) {
	compactly = true
	defer func() { compactly = false }()
	for _, c := range []struct {
		name string
		test func(*testing.T)
	}{
		{"order", TestArrivedSeesPipelinedCallsInOrder},
		{"limit of connections", TestConnectionsBeyondTheLimitAreClosed},
		{"calls in flight", TestReadingStopsAtMaxInFlightButSignsOfLifeDoNot},
		{"budget", TestLargeFramesWaitForTheirShareOfTheBudget},
		{"large replies", TestReplyBeyondTheLimitBecomesAnError},
		{"server's close", TestCloseCutsEverythingAndWaits},
		{"memory", TestMemoryOfLargeMessagesIsNotKept},
		{"plain server", TestCallsWorkAgainstAPlainServer},
		{"outcomes", TestErrorsSayWhetherTheRequestWasSent},
		{"abandonment", TestAbandoningACallLeavesItsNeighboursAlone},
		{"large values", TestLargeValuesBesideSmallOnes},
		{"slow link", TestSlowLinkIsNoStall},
		{"long poll", TestLongPollIsKeptAliveByEcho},
		{"frozen peer", TestFrozenPeerIsFound},
		{"peer that never reads", TestPeerThatNeverReadsBlocksNobodyForEver},
		{"full queue", TestCallWaitsForRoomInTheQueue},
		{"cannot be encoded", TestRequestThatCannotBeEncodedHarmsNobody},
		{"another server", TestErrorsSayThatAnotherServerAnswers},
		{"another type", TestReplyOfAnotherTypeHarmsNobody},
		{"lanes", TestLanesHaveConnectionsOfTheirOwn},
		{"dial per call", TestDialPerCall},
		{"transport's close", TestCloseDuringEverythingLeavesNothing},
		{"done functions that call", TestDoneFunctionsMayStartCalls},
		{"slow done functions", TestSlowDoneFunctionIsNoStall},
		{"losses", TestUnreliableLosesTheStatedShares},
		{"losses at one address", TestUnreliableAtConcernsOneAddress},
		{"delays", TestDelayHoldsMessagesForATime},
		{"cut requests", TestCutRequestNeverArrives},
		{"cut replies", TestCutReplyIsLostThoughTheRequestRan},
		{"cut long poll", TestCutBreaksAConnectionWithALongPoll},
		{"cut one way", TestCutIsOneWayAndBetweenTwo},
		{"frozen", TestFrozenMessagesAreDeliveredInOrderWhenThawed},
		{"gates", TestGateHoldsChosenRequests},
		{"gates for replies", TestGateHoldsReplies},
		{"released into faults", TestHeldRequestMeetsTheFaultsOfItsRelease},
		{"refused dials", TestRefusedDialStaysDefiniteBehindFaults},
	} {
		t.Run(c.name, c.test)
	}
}
