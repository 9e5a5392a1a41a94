// Package endtoend has the tests of the tandem binary as it is used: processes that
// are killed, frozen, cut off and restarted under load, on one host and on several.
// They are few, and stand on top of those of every package; nothing uses this one.
//
// Every history of what clients were told is judged by the model that judges the
// simulation. Hosts are network namespaces that the tests make, where the kernel lets
// them, with an ssh server on each where the test is root. Elsewhere these tests are
// skipped, and say why; -namespaces.required and -ssh.required make them fail instead.
package endtoend
