package sqldb_test

import (
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/erp"
	"kvit/erp/sqldb"
)

// tdsServer speaks as much of SQL Server's protocol (TDS 7.4, MS-TDS) as a login, a transaction and a statement with
// parameters need. What it answers to statements is the test's. It is no SQL Server: it shows what goes over the wire, not
// that a server understands it.
type tdsServer struct {
	t        *testing.T
	password string
	answer   func(statement string, params []any) []byte // tokens

	mu         sync.Mutex
	statements []string // that were sent
	open       int      // transactions
}

const (
	tdsBatch, tdsRPC, tdsReply, tdsTransaction, tdsLogin, tdsPrelogin = 1, 3, 4, 14, 16, 18

	tokenError, tokenLoginAck, tokenRow, tokenEnv, tokenColumns, tokenDone = 0xAA, 0xAD, 0xD1, 0xE3, 0x81, 0xFD
)

func startTDS(t *testing.T, answer func(statement string, params []any) []byte) (s *tdsServer, address string) {
	t.Helper()
	s = &tdsServer{t: t, password: "hunter2", answer: answer}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var served sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		served.Wait()
	})
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { s.serve(conn) })
		}
	})
	return s, "sqlserver://kvit:hunter2@" + l.Addr().String() + "/C5"
}

// serve answers message by message until the other side goes.
func (s *tdsServer) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	for {
		kind, message, err := readTDS(conn)
		if err != nil {
			return
		}
		if _, err := conn.Write(tdsPacket(s.reply(kind, message))); err != nil {
			return
		}
	}
}

func readTDS(r io.Reader) (kind byte, message []byte, err error) {
	for {
		var header [8]byte
		if _, err := io.ReadFull(r, header[:]); err != nil {
			return 0, nil, err
		}
		part := make([]byte, int(binary.BigEndian.Uint16(header[2:]))-len(header))
		if _, err := io.ReadFull(r, part); err != nil {
			return 0, nil, err
		}
		message = append(message, part...)
		if header[1]&1 == 1 { // the last packet
			return header[0], message, nil
		}
	}
}

func tdsPacket(data []byte) []byte {
	header := []byte{tdsReply, 1, 0, 0, 0, 0, 1, 0}
	binary.BigEndian.PutUint16(header[2:], uint16(len(data)+len(header)))
	return append(header, data...)
}

func (s *tdsServer) reply(kind byte, message []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch kind {
	case tdsPrelogin: // version, and no encryption
		return []byte{0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 15, 0, 0, 0, 0, 0, 2}
	case tdsLogin:
		if !strings.Contains(string(message), string(scrambled(s.password))) {
			return tdsError(18456)
		}
		name := ucs2("SQL Server")
		ack := slices.Concat([]byte{1, 0x74, 0, 0, 4, byte(len(name) / 2)}, name, []byte{15, 0, 0, 0})
		return slices.Concat([]byte{tokenLoginAck}, u16(len(ack)), ack, done(0))
	case tdsTransaction:
		return s.transaction(message)
	case tdsBatch:
		return s.statement(text16(message[binary.LittleEndian.Uint32(message):]), nil)
	case tdsRPC:
		statement, params := s.call(message[binary.LittleEndian.Uint32(message):])
		return s.statement(statement, params)
	}
	return nil
}

// transaction begins one, or ends one.
func (s *tdsServer) transaction(message []byte) []byte {
	const begin, commit = 5, 7
	descriptor := []byte{8, 1, 2, 3, 4, 5, 6, 7, 8}
	change := slices.Concat([]byte{10, 0}, descriptor) // rolled back
	switch binary.LittleEndian.Uint16(message[binary.LittleEndian.Uint32(message):]) {
	case begin:
		s.open++
		change = slices.Concat([]byte{8}, descriptor, []byte{0})
	case commit:
		s.t.Error("nothing is ever committed")
	default:
		s.open--
	}
	return slices.Concat([]byte{tokenEnv}, u16(len(change)), change, done(0))
}

func (s *tdsServer) statement(statement string, params []any) []byte {
	if s.open != 1 {
		s.t.Errorf("a statement outside of a transaction")
	}
	s.statements = append(s.statements, statement)
	return s.answer(statement, params)
}

// call reads sp_executesql: the statement, the declaration of its parameters, and these.
func (s *tdsServer) call(body []byte) (statement string, params []any) {
	const execute = 10
	if binary.LittleEndian.Uint16(body) != 0xffff || binary.LittleEndian.Uint16(body[2:]) != execute {
		s.t.Error("not sp_executesql")
		return "", nil
	}
	for body = body[6:]; len(body) > 0; {
		body = body[1+2*int(body[0])+1:] // name and status
		var value any
		value, body = s.parameter(body)
		params = append(params, value)
	}
	return params[0].(string), params[2:]
}

func (s *tdsServer) parameter(body []byte) (value any, rest []byte) {
	switch body[0] {
	case 0xE7: // nvarchar: size, collation, length, text
		size := binary.LittleEndian.Uint16(body[1:])
		body = body[8:]
		if size != 0xffff {
			n := int(binary.LittleEndian.Uint16(body))
			return text16(body[2 : 2+n]), body[2+n:]
		}
		var all []byte
		for body = body[8:]; ; { // in pieces
			n := int(binary.LittleEndian.Uint32(body))
			body = body[4:]
			if n == 0 {
				return text16(all), body
			}
			all, body = append(all, body[:n]...), body[n:]
		}
	case 0x2B: // datetimeoffset(7): ten bytes, time and date in UTC
		data := body[3:13]
		ticks := uint64(binary.LittleEndian.Uint32(data)) | uint64(data[4])<<32
		days := int(data[5]) | int(data[6])<<8 | int(data[7])<<16
		day := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, days)
		return day.Add(time.Duration(ticks) * 100), body[13:]
	}
	s.t.Errorf("a parameter of the type %#x", body[0])
	return nil, nil
}

func u16(n int) []byte { return binary.LittleEndian.AppendUint16(nil, uint16(n)) }

func ucs2(text string) (data []byte) {
	for _, unit := range utf16.Encode([]rune(text)) {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	return data
}

func text16(data []byte) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}

// scrambled is a password as a login has it.
func scrambled(password string) []byte {
	data := ucs2(password)
	for i, b := range data {
		data[i] = (b<<4 | b>>4) ^ 0xA5
	}
	return data
}

func done(status int) []byte {
	return slices.Concat([]byte{tokenDone}, u16(status), u16(0), make([]byte, 8))
}

// tdsError is what a server says with a text that nobody is to see.
func tdsError(number uint32) []byte {
	said := ucs2("something about Anna")
	body := slices.Concat(binary.LittleEndian.AppendUint32(nil, number), []byte{1, 16}, u16(len(said)/2), said, []byte{0, 0, 0, 0, 0, 0})
	return slices.Concat([]byte{tokenError}, u16(len(body)), body, done(2))
}

// tdsRows are rows of texts; nil is null. A name that ends in _at is a datetime2 in UTC, one that ends in _offset_at a
// datetimeoffset.
func tdsRows(columns []string, rows ...[]any) []byte {
	collation := []byte{0x09, 0x04, 0xD0, 0x00, 0x34}
	out := slices.Concat([]byte{tokenColumns}, u16(len(columns)))
	for _, name := range columns {
		kind := slices.Concat([]byte{0xE7}, u16(400), collation)
		switch {
		case strings.HasPrefix(name, "offset:"):
			kind = []byte{0x2B, 0}
		case strings.HasPrefix(name, "wall:"):
			kind = []byte{0x2A, 0}
		}
		_, plain, found := strings.Cut(name, ":")
		if !found {
			plain = name
		}
		out = slices.Concat(out, []byte{0, 0, 0, 0, 1, 0}, kind, []byte{byte(len(plain))}, ucs2(plain))
	}
	for _, row := range rows {
		out = append(out, tokenRow)
		for i, value := range row {
			out = append(out, tdsValue(strings.HasPrefix(columns[i], "offset:"), value)...)
		}
	}
	return append(out, done(0)...)
}

func tdsValue(offset bool, value any) []byte {
	switch value := value.(type) {
	case string:
		data := ucs2(value)
		return append(u16(len(data)), data...)
	case time.Time:
		days := int(value.Sub(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)).Hours()/24) + 719162 // since the year 1
		seconds := value.Hour()*3600 + value.Minute()*60 + value.Second()
		data := []byte{byte(seconds), byte(seconds >> 8), byte(seconds >> 16), byte(days), byte(days >> 8), byte(days >> 16)}
		if offset {
			data = append(data, 0, 0)
		}
		return append([]byte{byte(len(data))}, data...)
	default:
		return []byte{0xff, 0xff}
	}
}

// readC5 reads a configuration of the kind c5.
func readC5(t *testing.T, address, more string) sqldb.Options {
	t.Helper()
	text := "shop:\n  orders: {table: orders, ref: ref, placed_at: placed_at}\nerp:\n  c5:\n    kind: c5\n    url: ${C5_URL}\n" + more
	cfg, err := config.Parse("kvit.yaml", []byte(text), func(name string) string {
		return map[string]string{"C5_URL": address, "DATABASE_URL": "postgres://kvit@db.example.com/shop"}[name]
	}, []config.Kind{sqldb.C5})
	require.NoError(t, err)
	return cfg.ERPs[0].Settings.(sqldb.Options)
}

// TestC5: references go as parameters of one statement over the view, in a transaction that is rolled back.
func TestC5(t *testing.T) {
	t.Parallel()
	var asked [][]any
	s, address := startTDS(t, func(_ string, params []any) []byte {
		asked = append(asked, params)
		if params == nil {
			return tdsRows([]string{""}, []any{"WEB-1"})
		}
		return tdsRows([]string{"kind", "ref", "number"}, []any{"order", "web-1", "10045"}, []any{"order", nil, "10046"})
	})
	a := ask(t, readC5(t, address, "    view: dbo.WEB_ORDERS\n    number_column: NUMMER\n"))
	proof, err := a.connector.Probe(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, proof.Company)
	_, follows := a.connector.(erp.Follower)
	require.False(t, follows)

	hostile := `WEB-'); drop table ORDKART --`
	docs, err := a.lookup("WEB-1", "web-ø", hostile)
	require.NoError(t, err)
	require.Equal(t, []erp.Document{{Kind: "order", Ref: "web-1", Number: "10045"}, {Kind: "order", Number: "10046"}}, docs)
	require.Equal(t, []string{
		"select top (1) [web_ref] from [dbo].[WEB_ORDERS] where [web_ref] is not null",
		"select 'order' as kind, ltrim(rtrim([web_ref])) as ref, ltrim(rtrim([NUMMER])) as number from [dbo].[WEB_ORDERS]" +
			" where upper(ltrim(rtrim([web_ref]))) in (@p1, @p2, @p3)",
	}, s.statements)
	require.Equal(t, []any{"WEB-1", "WEB-Ø", strings.ToUpper(hostile)}, asked[1])
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Zero(t, s.open, "the transaction has ended")
}

// TestEmptyC5: a view without a row proves nothing.
func TestEmptyC5(t *testing.T) {
	t.Parallel()
	_, address := startTDS(t, func(string, []any) []byte { return tdsRows([]string{""}) })
	_, err := ask(t, readC5(t, address, "    kind_column: sort\n")).connector.Probe(t.Context())
	require.Equal(t, erp.Unproven, erp.KindOf(err), "%v", err)
}

// TestC5Mistakes: names are plain, and the database is a SQL Server.
func TestC5Mistakes(t *testing.T) {
	t.Parallel()
	text := "shop:\n  orders: {table: orders, ref: ref, placed_at: placed_at}\nerp:\n  c5:\n    kind: c5\n    url: ${C5_URL}\n    view: WEB_IMPORTED\n    ref_column: web ref]\n"
	_, err := config.Parse("kvit.yaml", []byte(text), func(string) string { return "postgres://kvit@db.example.com/shop" }, []config.Kind{sqldb.C5})
	require.ErrorContains(t, err, "erp.c5.url: must begin with sqlserver://")
	require.ErrorContains(t, err, "erp.c5.view: is not the plain name of a view with its schema, as in dbo.WEB_IMPORTED")
	require.ErrorContains(t, err, "erp.c5.ref_column: is not the plain name of a column")
}

// TestSQLServerErrors: what the server refuses is told by number, without its text.
func TestSQLServerErrors(t *testing.T) {
	t.Parallel()
	s, address := startTDS(t, nil)
	for number, want := range map[uint32]erp.ErrorKind{
		208: erp.Misconfigured, 207: erp.Misconfigured, 229: erp.Unauthorized, 245: erp.Refused, 1222: erp.TooMuch, 1205: erp.Unreachable, 10928: erp.Throttled,
	} {
		s.mu.Lock()
		s.answer = func(string, []any) []byte { return tdsError(number) }
		s.mu.Unlock()
		err := lookupError(t, readC5(t, address, ""))
		require.Equal(t, want, erp.KindOf(err), "%d: %v", number, err)
		require.NotContains(t, err.Error(), "Anna")
	}
	err := lookupError(t, readC5(t, strings.Replace(address, "hunter2", "hunter3", 1), ""))
	require.Equal(t, erp.Unauthorized, erp.KindOf(err), "%v", err)
	require.NotContains(t, err.Error(), "hunter")
	err = lookupError(t, readC5(t, address, "    tls: require\n"))
	require.Equal(t, erp.Misconfigured, erp.KindOf(err), "it does not encrypt: %v", err)
}

// TestSQLServerTimes: times with and without a zone are read right, and asked for as the clock on the wall shows them.
func TestSQLServerTimes(t *testing.T) {
	t.Parallel()
	var since any
	column := "wall:changed_at"
	_, address := startTDS(t, func(_ string, params []any) []byte {
		since = params[0]
		return tdsRows([]string{"ref", column}, []any{"WEB-1", time.Date(2026, 7, 1, 14, 0, 0, 0, time.UTC)})
	})
	o := usual(address)
	o.Changes = `select ref, changed_at from sale where changed_at >= {since} order by changed_at`
	zone, err := time.LoadLocation("Europe/Copenhagen")
	require.NoError(t, err)
	o.TimeZone = zone
	from := time.Date(2026, 7, 1, 11, 0, 0, 0, time.UTC)
	docs, err := ask(t, o).since(from)
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 7, 1, 13, 0, 0, 0, time.UTC), since)
	require.True(t, docs[0].ChangedAt.Equal(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)))

	column = "offset:changed_at"
	_, err = ask(t, o).since(from)
	require.Equal(t, erp.Misconfigured, erp.KindOf(err), "%v", err)
	o.TimeZone = nil
	docs, err = ask(t, o).since(from)
	require.NoError(t, err)
	require.Equal(t, from, since)
	require.True(t, docs[0].ChangedAt.Equal(time.Date(2026, 7, 1, 14, 0, 0, 0, time.UTC)))
}
