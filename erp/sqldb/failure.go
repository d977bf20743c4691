package sqldb

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	mssql "github.com/microsoft/go-mssqldb"

	"kvit/erp"
)

// failed makes an erp.Error of whatever went wrong, by codes: the text of a server may hold what was asked. late is the
// kind of a time limit. What whoever takes the documents refuses stays as it is.
func (d *Database) failed(ctx context.Context, err error, late erp.ErrorKind) error {
	var own *erp.Error
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var ms mssql.Error
	switch r := (refused{}); {
	case errors.As(err, &r):
		return r.error
	case errors.As(err, &own):
		return own
	case errors.As(err, &pg):
		return erp.Fail(postgresKind(pg.Code), "the database answers with SQLSTATE %s: %s", pg.Code, meaning(postgresKind(pg.Code)))
	case errors.As(err, &my):
		return erp.Fail(mySQLKind(my.Number), "the database answers with error %d: %s", my.Number, meaning(mySQLKind(my.Number)))
	case errors.As(err, &ms):
		return erp.Fail(sqlServerKind(ms.Number), "the database answers with error %d: %s", ms.Number, meaning(sqlServerKind(ms.Number)))
	case ctx.Err() != nil:
		return erp.Fail(erp.Unreachable, "interrupted")
	}
	return unanswered(err, late)
}

// unanswered is of an error that no server has told.
func unanswered(err error, late erp.ErrorKind) error {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.As(err, &certificate):
		return erp.Fail(erp.Misconfigured, "the certificate of the database is of no authority that is trusted, or of another name: see tls and tls_ca")
	case errors.As(err, &record), errors.Is(err, mysql.ErrNoTLS), refusesTLS(err):
		return erp.Fail(erp.Misconfigured, "the database does not encrypt: see tls")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return erp.Fail(late, "the database did not answer in time")
	}
	return erp.Fail(erp.Unreachable, "the database cannot be reached, or the connection broke")
}

// refusesTLS knows what pgx and go-mssqldb say, which have no value for it.
func refusesTLS(err error) bool {
	return strings.Contains(err.Error(), "server refused TLS connection") || strings.Contains(err.Error(), "server does not support encryption")
}

func meaning(kind erp.ErrorKind) string {
	switch kind {
	case erp.Unauthorized:
		return "it refuses the user, or lets him not read what the statement names"
	case erp.Misconfigured:
		return "the database, or what the statement names, is not there, or the statement is wrong"
	case erp.Refused:
		return "it refuses the statement, which may not write, nor meet values that it cannot convert"
	case erp.Throttled:
		return "it takes no more connections"
	case erp.TooMuch:
		return "it did not finish in time"
	}
	return "an error of its own"
}

// postgresKind goes by the class of an SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
func postgresKind(code string) erp.ErrorKind {
	switch code {
	case "42501":
		return erp.Unauthorized
	case "57014", "55P03": // statement_timeout, lock_timeout
		return erp.TooMuch
	}
	if len(code) < 2 {
		return erp.Unreachable
	}
	switch code[:2] {
	case "28":
		return erp.Unauthorized
	case "3D", "3F", "42":
		return erp.Misconfigured
	case "22", "25", "0A", "54":
		return erp.Refused
	case "53":
		return erp.Throttled
	}
	return erp.Unreachable
}

// mySQLKind knows the numbers of MySQL and MariaDB: https://mariadb.com/kb/en/mariadb-error-code-reference/
func mySQLKind(number uint16) erp.ErrorKind {
	switch number {
	case 1044, 1045, 1142, 1143, 1227, 1698, 1820, 1862:
		return erp.Unauthorized
	case 1046, 1049, 1052, 1054, 1064, 1109, 1146, 1305, 3159:
		return erp.Misconfigured
	case 1290, 1292, 1792, 1836:
		return erp.Refused
	case 1040, 1129, 1203, 1226:
		return erp.Throttled
	case 1205, 1317, 1969, 3024:
		return erp.TooMuch
	}
	return erp.Unreachable
}

// sqlServerKind knows these: https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
func sqlServerKind(number int32) erp.ErrorKind {
	switch number {
	case 229, 230, 300, 297, 916, 18450, 18452, 18456, 18470, 18486, 18487, 18488:
		return erp.Unauthorized
	case 102, 105, 156, 207, 208, 209, 2812, 4060, 4104, 8180, 911:
		return erp.Misconfigured
	case 241, 242, 245, 3906, 8114, 8115:
		return erp.Refused
	case 10928, 10929, 40501, 40544, 17809:
		return erp.Throttled
	case 1222, 8645:
		return erp.TooMuch
	}
	return erp.Unreachable
}
