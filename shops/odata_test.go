package shops_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"kvit/config"
	"kvit/erp"
	"kvit/erp/odata"
)

// TestODataServer asks an OData server that nobody here wrote, as it asks Business Central.
func TestODataServer(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("odata/node_modules/simple-odata-server"); err != nil && os.Getenv("KVIT_SHOPS") == "" {
		t.Skip("the OData server is installed by `make test-shops`")
	}
	type document map[string]any
	hour := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	at := func(d document, minutes int) document {
		d["lastModifiedDateTime"], d["customerName"] = hour.Add(time.Duration(minutes)*time.Minute).Format(time.RFC3339), "Anna"
		return d
	}
	const id = "7dbba574-5f69-4167-a43e-fb975045de15"
	port := startOData(t, map[string]any{
		"company": document{"id": id, "name": "CRONUS Danmark A/S"},
		"salesOrders": []document{
			at(document{"number": "101005", "externalDocumentNumber": "WEB-10023"}, 5),
			at(document{"number": "101006", "externalDocumentNumber": "WEB-100231"}, 6),
			at(document{"number": "101007", "externalDocumentNumber": "WEB-O'1 or 2"}, 7),
		},
		"salesInvoices": []document{
			at(document{"number": "103033", "externalDocumentNumber": "WEB-10024", "orderNumber": "101004", "status": "Open"}, 8),
		},
	})
	fields := func(collection string) odata.Fields {
		return odata.Fields{Collection: collection, Ref: "externalDocumentNumber", Number: "number", Changed: "lastModifiedDateTime"}
	}
	options := odata.BusinessCentralOptions{
		Common: odata.Common{
			BaseURL: "http://127.0.0.1:" + port + "/api/v2.0", AllowPrivate: true, Batch: 40, PageSize: 500,
			Orders: fields("salesOrders"), Invoices: fields("salesInvoices"),
		},
		Company: id, CompanyName: "CRONUS Danmark A/S", User: "kvit", AccessKey: config.NewSecret("x"),
	}
	options.Invoices.OrderNumber = "orderNumber"
	connector, err := options.Make(erp.Common{})
	require.NoError(t, err)

	_, err = connector.Probe(t.Context())
	require.NoError(t, err)
	var found []string
	take := func(docs []erp.Document) error {
		for _, d := range docs {
			kind, number, _ := d.Evidence()
			found = append(found, d.Ref+" "+kind+" "+number)
		}
		return nil
	}
	finder, ok := connector.(erp.Finder)
	require.True(t, ok)
	require.NoError(t, finder.Lookup(t.Context(), []string{"WEB-10023", "WEB-10024", "WEB-O'1 or 2", "WEB-1"}, take))
	require.ElementsMatch(t, []string{"WEB-10023 order 101005", "WEB-10024 order 101004", "WEB-O'1 or 2 order 101007"}, found)

	// Of literals of time it knows those of OData 3 alone.
	older, err := odata.NAVOptions{
		Common: odata.Common{BaseURL: "http://127.0.0.1:" + port + "/OData", AllowPrivate: true, Batch: 40, Orders: fields("salesOrders"), Invoices: fields("salesInvoices")},
		V3:     true, Company: "CRONUS", User: "kvit", AccessKey: config.NewSecret("x"),
	}.Make(erp.Common{})
	require.NoError(t, err)
	found = nil
	follower, ok := older.(erp.Follower)
	require.True(t, ok)
	require.NoError(t, follower.Since(t.Context(), "salesOrders", hour.Add(6*time.Minute), take))
	// In no order: it forgets $orderby where $format stands beside it.
	require.ElementsMatch(t, []string{"WEB-100231 order 101006", "WEB-O'1 or 2 order 101007"}, found, "from the moment itself on")
}

// startOData runs the server until the test ends, and returns its port.
func startOData(t *testing.T, documents map[string]any) string {
	t.Helper()
	given, err := json.Marshal(documents)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "node", "server.js", string(given))
	cmd.Dir, cmd.Stderr = "odata", os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	port, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(port)
}
