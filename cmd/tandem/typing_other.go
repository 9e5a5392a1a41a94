//go:build !unix

package main

// letReadsFailInBackground does nothing where there is no background to read in.
func letReadsFailInBackground() {}
