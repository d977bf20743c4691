package proof

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// ReadCertificates calls do for every certificate of an export: one JSON object a line, in the order
// of the numbers, as json.Encoder writes Certificates. An error names the line, never its content;
// one of do is returned as it is.
func ReadCertificates(r io.Reader, do func(Certificate) error) error {
	const longest = 1 << 20
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longest)
	n := 0
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var c Certificate
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&c); err != nil || decoder.More() {
			return fmt.Errorf("line %d is no certificate", n)
		}
		if err := do(c); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read line %d: %w", n+1, err)
	}
	return nil
}
