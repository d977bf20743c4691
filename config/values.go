package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Check says what is wrong with a text, or nothing. It never repeats the text.
type Check func(text string) (problem string)

func firstProblem(text string, checks []Check) string {
	for _, c := range checks {
		if problem := c(text); problem != "" {
			return problem
		}
	}
	return ""
}

func notEmpty(text string) string {
	switch {
	case strings.TrimSpace(text) == "":
		return "is empty"
	case strings.ContainsRune(text, 0):
		return "contains a NUL character"
	}
	return ""
}

func oneOf(options ...string) Check {
	return func(text string) string {
		if slices.Contains(options, text) {
			return ""
		}
		return "must be " + JoinOr(options)
	}
}

// JoinOr lists words as in "a, b or c".
func JoinOr(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// Matches is the Check that a text has the form of the whole regular expression; problem is what is said otherwise.
func Matches(pattern, problem string) Check {
	re := regexp.MustCompile(`^(?:` + pattern + `)$`)
	return func(text string) string {
		if re.MatchString(text) {
			return ""
		}
		return problem
	}
}

var (
	identifier = Matches(`[A-Za-z_][A-Za-z0-9_$]{0,62}`,
		"is not a plain column name (letters, digits, _ and $, at most 63, not beginning with a digit)")
	tableName = Matches(`(?:[A-Za-z_][A-Za-z0-9_$]{0,62}\.)?[A-Za-z_][A-Za-z0-9_$]{0,62}`,
		"is not a plain table name, as in orders or public.orders")
	destinationName = Matches(`[a-z][a-z0-9_-]{0,39}`,
		"is not a destination name (lower-case letters, digits, _ and -, at most 40, beginning with a letter)")
	erpName = Matches(`[a-z][a-z0-9_-]{0,39}`,
		"is not a name of an ERP (lower-case letters, digits, _ and -, at most 40, beginning with a letter)")
	// Purpose is the name of a purpose of consent, or None.
	Purpose = Matches(`[A-Za-z][A-Za-z0-9_.:-]{0,62}`,
		"is not a purpose (letters, digits and _.:- only, at most 63), nor none")
	// TechnicalName is what providers commonly call their things by.
	TechnicalName = Matches(`[A-Za-z0-9_.-]{1,100}`,
		"is not a technical name (letters, digits and _.- only, at most 100)")
	// VisibleASCII is what a header can carry.
	VisibleASCII = Matches(`[\x21-\x7e]+`, "contains a blank or a character that is not ASCII")
)

func absolutePath(text string) string {
	if !filepath.IsAbs(text) || strings.HasSuffix(text, "/") {
		return "is not the absolute path of a file"
	}
	return OneLine(text)
}

// TimeZone checks the name of a time zone, as in Europe/Copenhagen.
func TimeZone(text string) string {
	// LoadLocation also takes Local, which would make the same file mean different times on two machines.
	if _, err := time.LoadLocation(text); err != nil || text == "Local" {
		return "is not a known time zone, as in Europe/Copenhagen or UTC"
	}
	return ""
}

func listenAddress(text string) string {
	if text == ListenOff {
		return ""
	}
	const problem = "is neither host:port nor off"
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return problem
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return problem
	}
	return ""
}

// HTTPURL checks an address that kvit sends to. plain says which hosts may be http, rule says so in words.
func HTTPURL(plain func(host string) bool, rule string) Check {
	return func(text string) string {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
			return "is not an absolute https URL"
		case u.Scheme == "http" && !plain(u.Hostname()):
			return "must be https (" + rule + ")"
		case u.User != nil:
			return "must not contain a user name or password"
		case strings.Contains(text, "#"):
			return "must not contain a fragment (#)"
		}
		return ""
	}
}

func noQuery(text string) string {
	if strings.Contains(text, "?") {
		return "must not contain a query (?)"
	}
	return ""
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

var days = regexp.MustCompile(`^([0-9]{1,6})d(.*)$`)

// ParseDuration reads a duration as the file has it, for command lines.
func ParseDuration(text string) (time.Duration, error) {
	d, problem := parseDuration(text)
	if problem != "" {
		return 0, errors.New(problem)
	}
	return d, nil
}

// parseDuration reads Go's durations with days (24 hours) before them, as in 30d, 1d12h, 90s.
func parseDuration(text string) (time.Duration, string) {
	const form = "is not a duration with a unit, as in 30d, 72h, 15m or 90s"
	if strings.HasPrefix(text, "-") {
		return 0, "must not be negative"
	}
	var total time.Duration
	if m := days.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil || n > 100_000 { // Go's durations end at 106,751 days
			return 0, "is too long"
		}
		total, text = time.Duration(n)*24*time.Hour, m[2]
		if text == "" {
			return total, ""
		}
	}
	rest, err := time.ParseDuration(text)
	if err != nil || strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
		return 0, form
	}
	if total+rest < total {
		return 0, "is too long"
	}
	return total + rest, ""
}

// FormatDuration writes a duration as the configuration does: 30d, 4h, 1m30s.
func FormatDuration(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// nearest finds the known key that was probably meant: at most two edits away and not all of it.
func nearest(name string, known []string) (string, bool) {
	best, distance := "", 3
	if len(name) > 64 {
		return "", false
	}
	for _, k := range known {
		if d := edits(name, k); d < distance && d < len(k) {
			best, distance = k, d
		}
	}
	return best, best != ""
}

// edits counts the insertions, deletions and replacements between two words (Levenshtein).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

var rates = regexp.MustCompile(`^([1-9][0-9]{0,5})/(s|m|h)$`)

// parseRate reads events a second; none and an empty text are no limit, which is 0.
func parseRate(text string) (float64, bool) {
	if text == "" || text == None {
		return 0, true
	}
	m := rates.FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	count, _ := strconv.ParseFloat(m[1], 64) // the pattern has digits only
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}[m[2]]
	return count / seconds, true
}
