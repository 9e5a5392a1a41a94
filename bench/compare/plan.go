package main

import (
	"slices"
	"time"
)

// What a measurement takes besides itself, as it was seen: keys are put before it and
// read back after it, which takes etcd longest.
const (
	aroundLoop  = 150 * time.Millisecond
	aroundEtcd  = time.Second
	trialTime   = 4 * time.Second
	fillTime    = 50 * time.Microsecond // for each key
	startedTime = 10 * time.Second      // until all systems serve
)

// plan returns how many steps there are, and about how long they take.
func (s *settings) plan() (steps int, about time.Duration) {
	about = startedTime
	loops := func(ids []string, clients, times int, each time.Duration) {
		for _, id := range ids {
			if !s.takes(id) {
				continue
			}
			around := aroundLoop
			if slices.Contains([]string{"etcd", "etcd-shared", "etcd-serializable"}, id) {
				around = aroundEtcd
			}
			steps += clients * times
			about += time.Duration(clients*times) * (each + around)
		}
	}
	if s.has(partPut) {
		loops(putIDs, len(s.Clients), s.Rounds, s.Warmup+s.Duration)
	}
	if s.has(partGet) {
		loops(getIDs, len(s.Clients), s.Rounds, s.Warmup+s.Duration)
	}
	if s.has(partOpen) {
		loops(openContenders, 1, s.Rounds, s.Warmup+openTimes*s.Duration)
	}
	if s.has(partFailover) {
		loops(failoverIDs, 1, s.Trials, trialTime)
	}
	if s.has(partMemory) {
		for _, id := range memoryIDs {
			if s.takes(id) {
				steps++
				about += time.Duration(s.MemoryKeys) * fillTime
			}
		}
		steps++
		about += s.Rest + quietTime
	}
	return steps, about
}

// systemNames returns the names of all systems, of any part.
func systemNames() []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(putIDs, getIDs, failoverIDs, memoryIDs))))
}

// The contenders that write, those that read, those whose primary is killed, and those
// that are filled, by name.
var (
	putIDs = []string{"tandem", "tandem-shared", "redis-wait", "redis-wait-trips", "redis-wait-batched", "redis-async",
		"etcd", "etcd-shared", "echo1", "echo1-shared", "echo2", "echo2-shared"}
	getIDs = []string{"tandem", "tandem-shared", "tandem-lease", "tandem-lease-shared", "redis-get", "redis-get-batched",
		"etcd", "etcd-shared", "etcd-serializable", "echo1", "echo1-shared"}
	failoverIDs = []string{"tandem", "redis-sentinel", "etcd"}
	memoryIDs   = []string{"tandem", "redis-wait-batched"}
)
