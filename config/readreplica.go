package config

import (
	"strings"
	"time"
)

// readReplica reads where pages, status and metrics are read.
func readReplica(s *Section, d *Database) {
	if e, written := s.take("read_url"); written {
		d.ReadURL = readReplicaURL(s, e)
	}
	d.ReadMaxLag = s.Duration("read_max_lag", 10*time.Second, time.Second, 5*time.Minute)
	if s.Has("read_max_lag") && !s.Has("read_url") {
		s.Problem("read_max_lag", "has no use without read_url")
	}
}

// readReplicaURL has the rules of database.url, without a variable that goes before it.
func readReplicaURL(s *Section, e entry) Secret {
	literal, isText := plainText(e.value)
	text, problem := literal, ""
	switch isLiteral := isText && !strings.HasPrefix(literal, filePrefix) && !strings.Contains(literal, "${"); {
	case isLiteral && holdsPassword(literal):
		problem = "holds a password, so it " + literalProblem
	case !isLiteral:
		text, problem = s.reader.secretText(e.value)
	}
	if problem == "" {
		problem = connectionProblem(text)
	}
	if problem != "" {
		s.Problem("read_url", problem)
		return Secret{}
	}
	return NewSecret(text)
}

// engines that kvit does not work on, and why. docs/scale.md has it feature by feature.
var engines = map[string]string{
	"yugabyte": "is not supported: YugabyteDB waits for a locked row beyond lock_timeout, and each of its nodes shows its own sessions alone," +
		" so that kvit could neither give way to the shop nor see that it is in its way. docs/scale.md has the rest. Leave the key out for Postgres",
}

// readEngine refuses what would only seem to work.
func readEngine(s *Section) {
	s.Text("engine", postgres, func(text string) string {
		if problem, known := engines[text]; known {
			return problem
		}
		return oneOf(postgres)(text)
	})
}

const postgres = "postgres"
