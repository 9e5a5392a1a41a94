// Package workload is what clients do while somebody breaks what they use, and the
// judgement of what they were told: goroutines that call a store ([Start]) on keys
// that are given up before a checker has too much to think about ([Keys]), a
// record of each call and its answer ([History]), and the verdict on it, by the
// model that judges the simulation ([History.Judge]).
//
// It knows nothing of faults and servers. Tests in one process and those of real
// processes stand on it alike.
package workload
