package erp_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/erp"
)

func TestDecimal(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{"1250": "1250", "1250.50": "1250.50", "-7.5": "-7.5", "": "", "1e3": "", "1250.": "", "12345678901234567890": ""} {
		require.Equal(t, want, erp.Decimal(json.Number(number)), number)
	}
}

func TestIsLocal(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"http://127.0.0.1:8080/api": true, "https://[::1]/": true, "https://restapi.example.com": false, "https://10.0.0.1": false, "ftp://127.0.0.1": false, "%": false} {
		require.Equal(t, want, erp.IsLocal(address), address)
	}
}
