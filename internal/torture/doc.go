// Package torture runs a cluster of real processes, has clients use it, and breaks
// it while they do: processes are killed, frozen and told to leave, and the paths
// between them cut and reset. What the clients were told is then judged.
//
// The processes are those of package cluster. Between any two parties, the clients
// included, lies a path of package paths: servers are known by addresses that nobody
// can dial, and are told a way around for each. Clients and judgement are those of
// package workload.
//
// Faults are drawn from a seed, but nothing repeats their timing. A fault never
// takes the memory of all that hold the data (V9), since a cluster may well lose
// everything then; see run.crash.
package torture
