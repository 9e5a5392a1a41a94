package view

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"

	"github.com/tandemkv/tandem"
)

// Clone returns a Service that is equal and independent. The observer is
// shared.
func (s *Service) Clone() *Service {
	c := *s
	c.state.inSync = append([]tandem.Server(nil), s.state.inSync...)
	c.state.servers = append([]server(nil), s.state.servers...)
	c.detector.watches = append([]watch(nil), s.detector.watches...)
	for i := range c.detector.watches {
		w := &c.detector.watches[i]
		w.lives = append([]life(nil), w.lives...)
	}
	if s.pending != nil {
		p := *s.pending
		c.pending = &p // its InSync is never changed
	}
	c.held = append([]held(nil), s.held...)
	c.history = append([]Change(nil), s.history...)
	c.out.Replies = append([]Reply(nil), s.out.Replies...)
	return &c
}

// Equal reports whether the two behave alike from here on, as far as
// AppendState tells.
func (s *Service) Equal(o *Service) bool {
	return bytes.Equal(s.AppendState(nil), o.AppendState(nil))
}

// Hash returns a hash of what AppendState appends.
func (s *Service) Hash() uint64 {
	h := fnv.New64a()
	h.Write(s.AppendState(nil))
	return h.Sum64()
}

// AppendState appends a canonical encoding of what decides the Service's
// behaviour. Left out are the configuration and the observer; what only people
// read (the history, how long each server has been silent); and what would
// grow for ever and so tell equal states apart: the number of the pending
// record and the values of ping sequences. Whether a ping on its way is late
// does depend on those; a search that holds such pings adds, for each, whether
// LastSeq has overtaken it.
func (s *Service) AppendState(b []byte) []byte {
	st := &s.state
	b = appendView(b, st.view)
	b = binary.AppendUvarint(b, st.cluster)
	b = appendIDs(b, st.abandoned)
	b = binary.AppendUvarint(b, uint64(st.active))
	b = appendServers(b, st.inSync)
	b = appendBool(b, st.reported)
	b = appendBool(b, st.backupLost)
	b = binary.AppendUvarint(b, uint64(len(st.servers)))
	for _, k := range st.servers {
		b = appendServer(b, k.Server)
		b = binary.AppendUvarint(b, uint64(k.number))
		b = appendBool(b, k.leaving)
		b = appendBool(b, k.cooling)
		b = append(b, byte(k.presence))
		b = s.detector.appendWatch(b, k)
	}
	b = appendView(b, s.told.view)
	b = binary.AppendUvarint(b, uint64(s.told.active))
	b = appendBool(b, s.pending != nil)
	if s.pending != nil {
		r := *s.pending
		r.Number = 0
		b, _ = r.AppendBinary(b)
	}
	b = binary.AppendUvarint(b, uint64(len(s.held)))
	for _, h := range s.held {
		b = binary.AppendUvarint(b, h.request)
		b = appendBool(b, h.next)
	}
	b = appendBool(b, s.lost != "")
	b = binary.AppendUvarint(b, uint64(s.listen))
	return s.appendOutbox(b)
}

// appendWatch appends what the detector holds about a server.
func (d *detector) appendWatch(b []byte, k server) []byte {
	w := d.find(k.Addr)
	if w == nil {
		return append(b, 0)
	}
	b = append(b, byte(len(w.lives)))
	for _, l := range w.lives {
		b = binary.AppendUvarint(b, l.incarnation)
	}
	b = binary.AppendUvarint(b, uint64(w.left))
	b = binary.AppendUvarint(b, uint64(w.cooling))
	return binary.AppendUvarint(b, uint64(w.forget))
}

// appendOutbox appends the effects that have not been taken.
func (s *Service) appendOutbox(b []byte) []byte {
	b = appendBool(b, s.out.Record != nil)
	b = appendBool(b, s.out.News)
	b = binary.AppendUvarint(b, uint64(len(s.out.Replies)))
	for _, r := range s.out.Replies {
		b = binary.AppendUvarint(b, r.Request)
		b = appendView(b, r.Ping.View)
		b = binary.AppendUvarint(b, uint64(r.Ping.Active))
		b = appendString(b, string(r.Ping.Err))
	}
	return b
}

// LastSeq returns the sequence number of the last ping taken in from that
// server, zero if there was none.
func (s *Service) LastSeq(who tandem.Server) uint64 {
	if w := s.detector.find(who.Addr); w != nil {
		for _, l := range w.lives {
			if l.incarnation == who.Incarnation {
				return l.seq
			}
		}
	}
	return 0
}
