//go:build unix && !race

package endtoend

// raceDetector says whether the test has the race detector, and so the binary.
const raceDetector = false
