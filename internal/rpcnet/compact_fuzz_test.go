package rpcnet

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// FuzzCompactFrames: whatever comes, frames are found where their lengths say, no more
// is read, and no more memory is taken than came.
func FuzzCompactFrames(f *testing.F) {
	f.Add([]byte{}, uint16(1))
	f.Add([]byte{0, 0, 0, 0}, uint16(3))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1}, uint16(3))
	f.Add(append(callOf(2, atSame, &Msg{N: 1}), compactBeat(nil)...), uint16(2))
	f.Add(append(frameOf(1<<40, 255, string(make([]byte, 20_000))), frameOf(3, 0, "x")...), uint16(900))
	f.Fuzz(func(t *testing.T, in []byte, step uint16) {
		const limit = 30_000
		frames := newFrameReader(&steps{in, int(step)%5000 + 1}, limit)
		r := &compactReader{frames: frames}
		at := 0 // in in
		for {
			ready := r.ready()
			seq, kind, payload, err := r.next()
			if err != nil {
				if ready && len(in)-at >= frameHead && err == io.ErrUnexpectedEOF {
					t.Fatal("what was ready was not there")
				}
				if err == io.EOF && at != len(in) {
					t.Fatalf("%d bytes were lost", len(in)-at)
				}
				return
			}
			again, err := closeFrame(append(openFrame(nil, seq, kind), payload...), 0, limit)
			if err != nil {
				t.Fatalf("a frame beyond the limit was let through: %v", err)
			}
			// A number may be written in more bytes than it needs.
			n := frameHead + int(uint32(in[at])|uint32(in[at+1])<<8|uint32(in[at+2])<<16|uint32(in[at+3])<<24)
			if n < len(again) || !bytes.HasSuffix(in[at:at+n], again[len(again)-len(payload)-1:]) {
				t.Fatal("the frame was changed")
			}
			if at += n; cap(r.own) > 4*len(in)+2*largeFrame {
				t.Fatalf("%d bytes are held for %d", cap(r.own), len(in))
			}
		}
	})
}

// steps hands out p in pieces.
type steps struct {
	p    []byte
	step int
}

func (s *steps) Read(b []byte) (int, error) {
	if len(s.p) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.p[:min(s.step, len(s.p))])
	s.p = s.p[n:]
	return n, nil
}

// FuzzCompactConnection: a server ends a connection on which anything comes after an
// agreement, and takes no memory out of proportion for it.
func FuzzCompactConnection(f *testing.F) {
	f.Add(callOf(2, atSame, &Msg{N: 1, Text: "x"}))
	f.Add(append(callOf(2, atWait, &Msg{N: 1}), frameOf(3, requestEcho, "")...))
	f.Add(append(callOf(0, atFail, &Msg{N: 1, Text: "no"}), 0, 0, 0, 0))
	f.Add(frameOf(4, requestNamed, "\x0aProbe.Same"+string(gobOf(f, &Msg{N: 2}))))
	f.Add(frameOf(4, requestNamed, "\x0aProbe.Same\xfc\x3f\xff\xff\xff"))
	f.Add(frameOf(5, 200, ""))
	f.Fuzz(func(t *testing.T, in []byte) {
		w := newWorld()
		close(w.gate)
		s := NewServer(ServerConfig{Service: func(c *Conn) (string, any) {
			_, r := w.service(c)
			return "Probe", &frugal{r.(*probe)}
		}, MaxFrame: 1 << 16, StallTimeout: time.Minute})
		defer s.Close()
		near, far := net.Pipe()
		s.admit(far)
		agree(t, near)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		read := make(chan struct{})
		go func() {
			defer close(read)
			io.Copy(io.Discard, near)
		}()
		near.Write(in) // fails if the server has had enough
		near.Close()
		<-read
		s.Close()
		runtime.ReadMemStats(&after)
		// gob makes what it needs to decode a type anew for each frame.
		if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20+10_000*uint64(len(in)) {
			t.Fatalf("%d bytes were taken for %d", took, len(in))
		}
	})
}

// frugal is a probe whose Long does not return as much as anybody asks for.
type frugal struct{ *probe }

func (f *frugal) Long(args *Msg, reply *Msg) error {
	args.N &= 0xff
	if args.N < 0 {
		args.N = 0
	}
	return f.probe.Long(args, reply)
}
