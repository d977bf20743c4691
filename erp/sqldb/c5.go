package sqldb

import (
	"strings"
	"time"

	"kvit/config"
	"kvit/erp"
)

// C5 is Microsoft Dynamics C5 2012: a view in its SQL Server, that was made for kvit. People approve orders there in a
// journal, so nothing is urgent.
var C5 = config.Kind{Name: "c5", ERP: &config.ERPDefaults{Poll: 15 * time.Minute, Overlap: 24 * time.Hour}, Read: erp.Reader(readC5)}

var (
	sqlServerName  = config.Matches(`[A-Za-z_][A-Za-z0-9_]{0,127}`, "is not the plain name of a column (letters, digits and _)")
	sqlServerTable = config.Matches(`[A-Za-z_][A-Za-z0-9_]{0,127}\.[A-Za-z_][A-Za-z0-9_]{0,127}`, "is not the plain name of a view with its schema, as in dbo.WEB_IMPORTED")
)

// readC5 makes statements over the view. C5's numbers and references may stand right in their columns, so blanks at both
// sides do not count. What the view tells of days of creation is not asked for, since a day is no time.
func readC5(s *config.Section) Options {
	o := Options{Access: ReadAccess(s, "sqlserver"), Batch: defaultBatch}
	view := quoted(s.Text("view", "dbo.WEB_IMPORTED", sqlServerTable))
	ref := quoted(s.Text("ref_column", "web_ref", sqlServerName))
	number := quoted(s.Text("number_column", "erp_order_number", sqlServerName))
	kind := "'" + erp.OrderDocument + "'"
	if name := s.Text("kind_column", "", sqlServerName); name != "" {
		kind = quoted(name)
	}
	o.Probe = "select top (1) " + ref + " from " + view + " where " + ref + " is not null"
	o.Lookup = "select " + kind + " as kind, ltrim(rtrim(" + ref + ")) as ref, ltrim(rtrim(" + number + ")) as number from " + view +
		" where upper(ltrim(rtrim(" + ref + "))) in (" + foldedHole + ")"
	return o
}

// quoted writes a plain name, or a schema and a name, as SQL Server quotes them.
func quoted(name string) string { return "[" + strings.ReplaceAll(name, ".", "].[") + "]" }
