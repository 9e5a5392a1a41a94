package store

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandemkv/tandem"
)

func TestWhatClientsSendIsChecked(t *testing.T) {
	l := Limits{MaxKey: 4, MaxValue: 8}
	for name, tc := range map[string]struct {
		args tandem.PutArgs
		want tandem.Err
	}{
		"empty key":               {tandem.PutArgs{}, tandem.OK},
		"key at the bound":        {tandem.PutArgs{Key: "1234"}, tandem.OK},
		"key beyond it":           {tandem.PutArgs{Key: "12345"}, tandem.ErrTooLarge},
		"value at the bound":      {tandem.PutArgs{Value: "12345678"}, tandem.OK},
		"value beyond it":         {tandem.PutArgs{Value: "123456789"}, tandem.ErrTooLarge},
		"expected beyond it":      {tandem.PutArgs{Op: tandem.OpCompareAndSwap, Expected: "123456789"}, tandem.ErrTooLarge},
		"value of a delete":       {tandem.PutArgs{Op: tandem.OpDelete, Value: "123456789", Expected: "123456789"}, tandem.OK},
		"delete beyond the bound": {tandem.PutArgs{Op: tandem.OpDelete, Key: "12345"}, tandem.ErrTooLarge},
		"unknown operation":       {tandem.PutArgs{Op: 77}, tandem.ErrBadRequest},
		"hash of a delete":        {tandem.PutArgs{Op: tandem.OpDelete, DoHash: true}, tandem.ErrBadRequest},
		"hash":                    {tandem.PutArgs{Op: tandem.OpPutHash, DoHash: true}, tandem.OK},
		"session, no number":      {tandem.PutArgs{Session: 1}, tandem.ErrBadRequest},
		"number, no session (S6)": {tandem.PutArgs{Number: 7}, tandem.OK},
		"open":                    {tandem.PutArgs{Op: tandem.OpOpenSession, Key: "ignored"}, tandem.OK},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := PutCommand(&tc.args, l)
			if tc.want == tandem.OK {
				require.NoError(t, err)
				_, err = DecodeCommand(b)
				require.NoError(t, err)
				return
			}
			var code tandem.Err
			require.True(t, errors.As(err, &code))
			require.Equal(t, tc.want, code)
		})
	}
	_, err := GetQuery(&tandem.GetArgs{Key: "12345"}, l)
	require.ErrorIs(t, err, tandem.ErrTooLarge)
	require.EqualError(t, err, "key of 5 bytes, limit 4: "+tandem.ErrTooLarge.Error())
	_, err = ScanQuery(&tandem.ScanArgs{Prefix: "12345"}, l)
	require.ErrorIs(t, err, tandem.ErrTooLarge)
	_, err = ScanQuery(&tandem.ScanArgs{Limit: -1}, l)
	require.ErrorIs(t, err, tandem.ErrBadRequest)
	_, err = ScanQuery(&tandem.ScanArgs{Limit: math.MaxInt, After: "12345"}, l)
	require.NoError(t, err)
}

// L6: the limits of the server that orders a command go with it.
func TestCommandsCarryTheLimitsThatDecideThem(t *testing.T) {
	l := Limits{MaxValue: 10, MaxSessions: 11, ReplyBudget: 12}
	for op, want := range map[tandem.Op]Command{
		tandem.OpPut:            {Kind: Update, Session: 1, Number: 2, Writes: []Write{{Op: tandem.OpPut, Key: "k", Value: "v"}}},
		tandem.OpPutHash:        {Kind: Update, Session: 1, Number: 2, ReplyBudget: 12, Writes: []Write{{Op: tandem.OpPutHash, Key: "k", Value: "v"}}},
		tandem.OpAppend:         {Kind: Update, Session: 1, Number: 2, MaxValue: 10, Writes: []Write{{Op: tandem.OpAppend, Key: "k", Value: "v"}}},
		tandem.OpDelete:         {Kind: Update, Session: 1, Number: 2, Writes: []Write{{Op: tandem.OpDelete, Key: "k"}}},
		tandem.OpCompareAndSwap: {Kind: Update, Session: 1, Number: 2, Writes: []Write{{Op: tandem.OpCompareAndSwap, Key: "k", Value: "v", Expected: "e"}}},
		tandem.OpOpenSession:    {Kind: OpenSession, MaxSessions: 11, AgeMillis: 60_000},
	} {
		b, err := PutCommand(&tandem.PutArgs{Op: op, Key: "k", Value: "v", Expected: "e", Session: 1, Number: 2}, l)
		require.NoError(t, err)
		c, err := DecodeCommand(b)
		require.NoError(t, err)
		require.Equal(t, want, c)
	}
}

func TestDefaultLimitsAreTheStatedOnes(t *testing.T) {
	require.Equal(t, Limits{
		MaxKey: 65536, MaxValue: 16777216, MaxSessions: 65536, SpareIdleMillis: 60000, ReplyBudget: 67108864,
		SessionTTLMillis: 1800000, ExpireEveryMillis: 10000,
		PageBytes: 1048576, PagePairs: 10000, MaxCursors: 64, CursorTicks: 600,
	}, DefaultLimits())
	require.Equal(t, DefaultLimits(), New(Limits{}).Limits())
}

// S5: what a refused attempt says about itself.
func TestRepliesSayWhetherTheAttemptRan(t *testing.T) {
	for code, want := range map[tandem.Err]tandem.Outcome{
		tandem.OK:                 tandem.DidRun,
		tandem.ErrTooLarge:        tandem.DidNotRun,
		tandem.ErrSessionExpired:  tandem.DidNotRun,
		tandem.ErrStaleRequest:    tandem.DidNotRun,
		tandem.ErrTooManySessions: tandem.DidNotRun,
	} {
		p, err := PutReply(bareReply(code))
		require.NoError(t, err)
		require.Equal(t, tandem.PutReply{Err: code, Outcome: want}, p)
	}
	p := Reply{Err: tandem.OK, Results: []Result{{Err: tandem.ErrNoKey}}}
	got, err := PutReply(p.Append(nil))
	require.NoError(t, err)
	require.Equal(t, tandem.PutReply{Err: tandem.ErrNoKey, Outcome: tandem.DidRun}, got)

	p.Results = append(p.Results, Result{Err: tandem.OK})
	_, err = PutReply(p.Append(nil))
	require.Error(t, err)
}

func TestStatsAreAnswered(t *testing.T) {
	l := newLog(Limits{})
	l.now = 9
	id := l.open(t)
	l.put(t, tandem.PutArgs{Key: "abc", Value: "defg", Session: id, Number: 1})
	p, err := StatsReply(l.store.Read(StatsQuery()))
	require.NoError(t, err)
	require.Equal(t, Stats{Index: 2, TimeMillis: 9, Keys: 1, Bytes: 7, Sessions: 1, ReplyBytes: 8}, p)
	require.Equal(t, p, l.store.Stats())
}

func TestWhatIsNoQueryHasNoAnswer(t *testing.T) {
	s := New(Limits{})
	for _, q := range []string{"", "\x01", "\x01?", "\x02T", "\x01Tx", "\x01G", "\x01G\x05ab", "\x01S\x00", "\x01S\x00\xff\xff\xff\xff\xff\x01\x00\x00"} {
		require.Nil(t, s.Read([]byte(q)), "%q", q)
	}
	_, err := GetReply(nil)
	require.Error(t, err)
	_, err = ScanReply(nil)
	require.Error(t, err)
	_, err = StatsReply(nil)
	require.Error(t, err)
	_, err = PutReply(nil)
	require.Error(t, err)
}

func TestACommandThatIsNoneIsNotEncoded(t *testing.T) {
	w := []Write{{Key: "k"}}
	for name, c := range map[string]Command{
		"no kind":                  {},
		"unknown kind":             {Kind: 9},
		"no writes":                {Kind: Update},
		"unknown write":            {Kind: Update, Writes: []Write{{Op: tandem.OpOpenSession}}},
		"delete with a value":      {Kind: Update, Writes: []Write{{Op: tandem.OpDelete, Value: "v"}}},
		"put with an expectation":  {Kind: Update, Writes: []Write{{Expected: "v"}}},
		"session without number":   {Kind: Update, Writes: w, Session: 1},
		"number without session":   {Kind: Update, Writes: w, Number: 1},
		"update with an age":       {Kind: Update, Writes: w, AgeMillis: 1},
		"update with max sessions": {Kind: Update, Writes: w, MaxSessions: 1},
		"open with a session":      {Kind: OpenSession, Session: 1},
		"open with writes":         {Kind: OpenSession, Writes: w},
		"expire with a budget":     {Kind: Expire, ReplyBudget: 1},
		"expire with a max value":  {Kind: Expire, MaxValue: 1},
		"age beyond 63 bits":       {Kind: Expire, AgeMillis: 1 << 63},
	} {
		t.Run(name, func(t *testing.T) {
			requireBroken(t, "CommandWellFormed", func() { c.Append(nil) })
		})
	}
}

func TestEncodingsAreStrict(t *testing.T) {
	c := Command{Kind: Update, Session: 300, Number: 2, Writes: []Write{{Key: "k", Value: strings.Repeat("v", 200)}}}
	good := c.Append(nil)
	_, err := DecodeCommand(good)
	require.NoError(t, err)
	for i := range good {
		_, err := DecodeCommand(good[:i])
		require.Error(t, err, "the first %d bytes", i)
	}
	for name, b := range map[string]string{
		"a byte too many":          string(good) + "\x00",
		"another version":          "\x02" + string(good[1:]),
		"a number in a long form":  "\x01X\x80\x00",
		"a number beyond 64 bits":  "\x01X\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
		"a number beyond 63 bits":  "\x01X\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"a claim of 2^60 writes":   "\x01U\x00\x00\x00\x00\x80\x80\x80\x80\x80\x80\x80\x80\x10",
		"a claim of a 2^60 string": "\x01U\x00\x00\x00\x00\x01\x00\x80\x80\x80\x80\x80\x80\x80\x80\x10",
	} {
		_, err := DecodeCommand([]byte(b))
		require.Error(t, err, name)
	}
	_, err = DecodeReply([]byte("\x01R\x00\x00\x01\x00\x02\x00"))
	require.Error(t, err, "two for a truth value")
	_, err = DecodeReply([]byte("\x01R\x63\x00\x00"))
	require.Error(t, err, "an unknown code")
	requireBroken(t, "ReplyCode", func() { bareReply("ErrOfAnotherWorld") })
}
