package destination_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/destination"
)

func TestMoneyJSON(t *testing.T) {
	t.Parallel()
	for amount, want := range map[destination.Money]string{
		"": "", "0": "0", "749.00": "749.00", "007.50": "7.50", "000": "0", "00.0050": "0.0050",
		"-12.5": "-12.5", "-007": "-7", "-0": "-0", "-00.10": "-0.10", "999999999999.9999": "999999999999.9999",
	} {
		require.Equal(t, want, string(amount.JSON()), amount)
		require.Equal(t, amount != "", json.Valid(amount.JSON()), amount)
	}
}

func TestMoneyMinus(t *testing.T) {
	t.Parallel()
	for _, test := range [][3]destination.Money{
		{"749.00", "39", "710.00"}, {"749", "39.5", "709.5"}, {"1", "-1.25", "2.25"}, {"0.30", "0.10", "0.20"}, {"999999999999.9999", "0.0001", "999999999999.9998"},
		{"1", "", ""}, {"", "1", ""},
	} {
		require.Equal(t, test[2], test[0].Minus(test[1]))
	}
	require.Equal(t, destination.Money("22.500"), destination.Money("9.00").Times("2.5"))
}

func TestIsValidPhone(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]bool{"+12025550123": true, "+442079460958": true, "+4500000000": false, "+999": false, "": false} {
		require.Equal(t, want, destination.IsValidPhone(number), number)
	}
}

func TestQuantityJSON(t *testing.T) {
	t.Parallel()
	for quantity, want := range map[destination.Quantity]string{
		"": "", "2": "2", "10": "10", "2.0": "2", "2.500000": "2.5", "0.125": "0.125", "100.000": "100",
	} {
		require.Equal(t, want, string(quantity.JSON()), quantity)
		require.Equal(t, quantity != "", json.Valid(quantity.JSON()), quantity)
	}
}

func TestQuantityWhole(t *testing.T) {
	t.Parallel()
	for quantity, want := range map[destination.Quantity]string{"": "", "2": "2", "2.0": "2", "2.5": "", "0.5": ""} {
		require.Equal(t, want, string(quantity.Whole()), quantity)
	}
}
