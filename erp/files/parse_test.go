package files

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/erp"
)

// TestReads: the same two receipts in every form that is taken.
func TestReads(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]struct{ file, text string }{
		"comma":            {"a.csv", "web_order,erp_order_number\n1,SO-1\n2,SO-2\n"},
		"semicolon":        {"a.csv", "web_order;erp_order_number\n1;SO-1\n2;SO-2\n"},
		"tab":              {"a.csv", "web_order\terp_order_number\n1\tSO-1\n2\tSO-2\n"},
		"mark":             {"a.csv", "\xef\xbb\xbfweb_order,erp_order_number\n1,SO-1\n2,SO-2\n"},
		"CRLF":             {"a.csv", "\xef\xbb\xbfweb_order;erp_order_number\r\n1;SO-1\r\n2;SO-2\r\n"},
		"no end":           {"a.csv", "web_order;erp_order_number\r\n1;SO-1\r\n2;SO-2"},
		"Excel":            {"a.csv", "sep=;\r\nweb_order;erp_order_number\r\n1;SO-1\r\n2;SO-2\r\n"},
		"quotes, blanks":   {"a.csv", "\"Web_Order\"; ERP_ORDER_NUMBER;message\n\" 1\"; SO-1 ;\"a;\"\"b\"\"\nc\"\n2;SO-2;æøå\n"},
		"other order":      {"a.csv", "message,erp_order_number,web_order\n,SO-1,1\n,SO-2,2\n"},
		"JSON":             {"a.jsonl", "{\"web_order\":\"1\",\"erp_order_number\":\"SO-1\"}\n{\"web_order\":2,\"erp_order_number\":\"SO-2\",\"imported_at\":null}"},
		"JSON, mark, CRLF": {"a.ndjson", "\xef\xbb\xbf{\"web_order\":\"1\",\"erp_order_number\":\"SO-1\"}\r\n\r\n{\"web_order\":\"2\",\"erp_order_number\":\"SO-2\"}\r\n"},
	} {
		docs, err := parse(form.file, []byte(form.text), nil)
		require.NoError(t, err, name)
		require.Equal(t, []erp.Document{{Kind: "order", Ref: "1", Number: "SO-1"}, {Kind: "order", Ref: "2", Number: "SO-2"}}, docs, name)
	}
}

// TestReadsAllFields: times count if their zone is certain.
func TestReadsAllFields(t *testing.T) {
	t.Parallel()
	const text = "web_order;kind;erp_order_number;imported_at;lines;total\n1;invoice;F-1;2026-07-01 14:00;3;1249.50\n2;;;2026-07-01T14:00:00+02:00;;\n3;;;2026-07-01;;\n"
	zone, err := time.LoadLocation("Europe/Copenhagen")
	require.NoError(t, err)
	docs, err := parse("a.csv", []byte(text), zone)
	require.NoError(t, err)
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	require.True(t, docs[0].CreatedAt.Equal(at))
	require.True(t, docs[1].CreatedAt.Equal(at))
	require.Nil(t, docs[2].CreatedAt)
	docs[0].CreatedAt = nil
	require.Equal(t, erp.Document{Kind: "invoice", Ref: "1", Number: "F-1", Lines: 3, Total: "1249.50"}, docs[0])
	docs, err = parse("a.csv", []byte(text), nil)
	require.NoError(t, err)
	require.Nil(t, docs[0].CreatedAt)
	require.NotNil(t, docs[1].CreatedAt)
}

// TestRefuses: nothing of a file counts where a line is wrong, and the reason names the line.
func TestRefuses(t *testing.T) {
	t.Parallel()
	for text, reason := range map[string]string{
		"":                                            "has no header: the first line names the fields",
		"10023;SO-1\n":                                "line 1: column 1 is none of web_order, erp_order_number, ",
		"web_order;erp_order_no\n1;2\n":               "line 1: column 2 is none of",
		"web_order;web_order\n1;2\n":                  "line 1: names web_order twice",
		"erp_order_number;result\n1;imported\n":       "line 1: names no web_order",
		"web_order;message\n1;Anna;x\n":               "line 2: has more or fewer fields than the first line",
		"web_order;message\n1;Anna \"x\"\n":           "line 2: has a quotation mark that does not open or close a field",
		"web_order;message\n1;\"Anna\n2;x\n":          "line 3: has a quotation mark that does not open or close a field",
		"web_order;message\n1;x\n;Anna\n":             "line 3: web_order is missing",
		"web_order;result\n1;ok\n":                    "line 2: result is neither imported nor failed",
		"web_order;kind\n1;offer\n":                   "line 2: kind is none of order, invoice, shipment, quote, credit_memo",
		"web_order;imported_at\n1;20.11.2026\n":       "line 2: imported_at is no time such as 2026-11-20T10:05:12Z",
		"web_order;total\n1;1249,50\n":                "line 2: total is no decimal number with a point",
		"web_order;lines\n1;-3\n":                     "line 2: lines is no count",
		"web_order\n1\n\x1b[31m\n":                    "line 3: web_order has a control character",
		"web_order\n" + strings.Repeat("1", 201):      "line 2: web_order is longer than 200 characters",
		"\xff\xfew\x00e\x00b\x00":                     "line 1: has a NUL: the file is not UTF-8, but UTF-16 perhaps, or no text",
		"web_order;message\n1;S\xf8ren Anna\n":        "line 2: is not UTF-8: write the file in UTF-8",
		"web_order\n" + strings.Repeat("1", 65537):    "line 2: is longer than 65536 bytes",
		"web_order" + strings.Repeat("\n", 1_000_001): "has more than 1000000 lines",
	} {
		docs, err := parse("a.csv", []byte(text), nil)
		require.ErrorContains(t, err, reason)
		require.NotContains(t, err.Error(), "Anna")
		require.Empty(t, docs)
	}
	for text, reason := range map[string]string{
		`{"web_order":"1"}` + "\n" + `{"web_order":"2","mess`: "line 2: is no JSON object",
		`["1"]`:                        "line 1: is no JSON object",
		`null`:                         "line 1: is no JSON object",
		`{"web_order":"1"} {}`:         "line 1: is no JSON object",
		`{"web_order":{"Anna":1}}`:     "line 1: web_order is neither a text nor a number",
		`{"web_order":true}`:           "line 1: web_order is neither a text nor a number",
		`{"web_order":"1","Anna":"x"}`: "line 1: has a field that is none of web_order",
		`{"erp_order_number":"SO-1"}`:  "line 1: web_order is missing",
		`{"web_order":null}`:           "line 1: web_order is missing",
		"web_order;message\n1;x\n":     "line 1: is no JSON object",
	} {
		_, err := parse("a.jsonl", []byte(text), nil)
		require.ErrorContains(t, err, reason)
		require.NotContains(t, err.Error(), "Anna")
	}
}

// FuzzParse: whatever comes in is read or refused, and no reference is longer than it may be.
func FuzzParse(f *testing.F) {
	f.Add("web_order;erp_order_number\n1;SO-1\n", true)
	f.Add(`{"web_order":"1"}`, false)
	f.Fuzz(func(t *testing.T, text string, isCSV bool) {
		name := "a.jsonl"
		if isCSV {
			name = "a.csv"
		}
		docs, err := parse(name, []byte(text), time.UTC)
		if err != nil {
			require.Empty(t, docs)
			return
		}
		for _, d := range docs {
			require.NotEmpty(t, d.Ref)
			require.LessOrEqual(t, len([]rune(d.Ref)), 200)
		}
	})
}
