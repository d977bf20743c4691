package store

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Describe words a database error without its values: Postgres quotes column contents in messages
// and details, and these may be somebody's name. Its own message is repeated only where its source has
// names of objects in it and nothing else; of other errors, the code and the names that Postgres sends apart.
func Describe(err error) string {
	var misfit *MisfitError
	if errors.As(err, &misfit) {
		return misfit.Error()
	}
	var held *HeldError
	if errors.As(err, &held) {
		return held.Error()
	}
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return plain(err)
	}
	text := "database error " + pgErr.Code
	if isValueless(pgErr) {
		text += ": " + strings.Join(strings.Fields(pgErr.Message), " ")
	} else {
		text += namesOf(pgErr)
	}
	if function := functionOf(pgErr); function != "" {
		text += ", in function " + function
	}
	return text
}

// namesOf are the objects that Postgres names apart from its message.
func namesOf(err *pgconn.PgError) (text string) {
	for _, part := range []struct{ label, name string }{
		{"constraint", err.ConstraintName},
		{"schema", err.SchemaName},
		{"table", err.TableName},
		{"column", err.ColumnName},
	} {
		if part.name != "" {
			text += " " + part.label + " " + part.name
		}
	}
	return text
}

func plain(err error) string {
	var connectErr *pgconn.ConnectError
	switch {
	case errors.Is(err, ErrReadOnly):
		return ErrReadOnly.Error()
	case errors.As(err, &connectErr):
		return "database cannot be reached"
	case errors.Is(err, context.DeadlineExceeded):
		return "database did not answer in time"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	default:
		return "database connection broke"
	}
}

// Codes whose messages name objects of the catalog, commands and settings, wherever Postgres raises them.
// Left out on purpose are, among others, classes 22, 23, P0 and XX000, which quote values, 54000, which quotes words
// of a text search, and 0A000, which quotes dates and units of times (but see commands).
var (
	valuelessCodes = []string{
		"08P01",          // protocol violation: also what PgBouncer answers
		"21000",          // a subquery or an upsert met more than one row
		"26000",          // prepared statement does not exist: PgBouncer again
		"27000",          // a row was changed by a trigger of the same statement
		"2BP01",          // other objects depend on it
		"3D000",          // database does not exist
		"40001", "40P01", // serialization failure, deadlock
		"42501",                            // no right, not the owner, row security
		"42P06", "42P07", "42710", "42723", // the object is there already
		"42809", "428C9", // the object is of the wrong kind, the column is generated
		"54001", "54011", "54023", // stack depth, too many columns or arguments
		"55000", "55006", "55P03", // view that cannot be updated, object in use, lock not available
		"58030", // input or output
		"XX002", // index is damaged
	}
	valuelessClasses = []string{
		"25", // state of the transaction: a server that is read only
		"28", // who may connect: names of roles, databases and hosts, never a password
		"53", // disk, memory, connections
		"57", // shutdown, start, timeouts
	}
)

// Source files of Postgres. What they say is the same whoever runs the statement.
var (
	// Those of commands on tables use 0A000 for what a command cannot do; those of data types for what a value is.
	commands = []string{"plancache.c", "tablecmds.c", "execMain.c", "execReplication.c", "rewriteHandler.c", "trigger.c"}
	// Those that judge rights, time and locks use names that the catalog holds, also when a function of the shop's asks.
	judges = []string{"aclchk.c", "deadlock.c", "postgres.c"}
)

// isValueless tells whether a message can be repeated.
//
// A function, in any language, can raise any code with any text, and make names of values. Postgres tells of functions
// in the context, so that a message with a context is repeated only if the file that raised it leaves no choice.
//
// What does not exist is named as the statement has it. With a position, it stands in a statement of
// kvit's own, which holds no values; without one, a value may have been cast to a name.
func isValueless(err *pgconn.PgError) bool {
	if len(err.Code) != 5 || err.Where != "" && !slices.Contains(judges, err.File) {
		return false
	}
	switch class := err.Code[:2]; {
	case slices.Contains(valuelessCodes, err.Code), slices.Contains(valuelessClasses, class):
		return true
	case class == "42", err.Code == "3F000":
		return err.Position > 0
	case err.Code == "0A000":
		return err.Position > 0 || slices.Contains(commands, err.File)
	}
	return false
}

var outermost = regexp.MustCompile(`(?:^|\n)PL/pgSQL function (\S[^\n"]*) line \d+ at [^\n"]+$`)

// functionOf is the function, a trigger's for instance, that the statement ran into. The last line of the context is of
// what the statement called itself, so that no value can stand in it.
func functionOf(err *pgconn.PgError) string {
	found := outermost.FindStringSubmatch(err.Where)
	if found == nil {
		return ""
	}
	return found[1]
}
