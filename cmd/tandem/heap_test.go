package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGarbageIsBoundedByWhatIsInUse(t *testing.T) {
	for _, tc := range []struct {
		live uint64
		want int
	}{
		{0, 1600},       // before the first collection
		{8 << 20, 800},  // a small store: 64 MiB
		{64 << 20, 100}, // as Go has it
		{256 << 20, 25}, // from here on
		{1 << 30, 25},   // a large one
		{100 << 30, 25}, // a very large one
	} {
		got, _ := (&heapKeeper{}).look(tc.live, 0)
		require.Equal(t, tc.want, got, "%d bytes in use", tc.live)
	}
}

func TestThePercentageIsNotSetForLittle(t *testing.T) {
	k := heapKeeper{}
	first, _ := k.look(64<<20, 0)
	same, _ := k.look(66<<20, 0)
	require.Equal(t, first, same)
	other, _ := k.look(80<<20, 0)
	require.Equal(t, 80, other)
	back, _ := k.look(64<<20, 0)
	require.Equal(t, first, back)
}

func TestMemoryIsGivenBackOnceWhenItIsCalm(t *testing.T) {
	k := heapKeeper{}
	allocs := uint64(0)
	look := func(bytes uint64) bool {
		allocs += bytes
		_, giveBack := k.look(100<<20, allocs)
		return giveBack
	}
	for range 20 {
		require.False(t, look(calmBytes), "under load")
	}
	for range calmLooks - 1 {
		require.False(t, look(calmBytes-1), "not calm for long enough")
	}
	require.True(t, look(0))
	for range 8 {
		require.False(t, look(calmBytes-1), "there is little to give")
	}
	require.True(t, look(calmBytes-1), "but in the end there is")
	look(worthIt)
	for range calmLooks - 1 {
		require.False(t, look(0))
	}
	require.True(t, look(0))
}
