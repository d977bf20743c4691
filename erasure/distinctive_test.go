package erasure

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/store"
)

func TestRankOfValues(t *testing.T) {
	t.Parallel()
	named, rest, kept, number := store.OldValue{Erased: true, Named: true}, store.OldValue{Erased: true}, store.OldValue{Named: true}, store.OldValue{Erased: true, Named: true, Number: true}
	for _, test := range []struct {
		as         store.OldValue
		path, text string
		want       rank
	}{
		{named, "customer_name", "Theodora Abelsgård", strong},
		{named, "field_7", "Theodora Abelsgård", strong},
		{named, "last_name", "Abelsgård", weak},
		{named, "last_name", "Holm", common},
		{named, "email", "t@a.example", strong},
		{named, "phone", "+45 22 33 44 55", strong},
		{named, "phone", "223344", strong},
		{named, "phone", "2-2-3", common},
		{named, "street", "Nygade 17", strong},
		{named, "street", "Nygade17", strong},
		{named, "city", "New York", common},
		{named, "country", "Danmark og Norge", common},
		{named, "postal_code", "DK-2100", common},
		{named, "delivery_date", "2026-03-31", common},
		{named, "customer_note", "2026-03-31T10:00:00Z", common},
		{named, "company", "erased", common},
		{named, "customer_ref", "6f9619ff-8b86-4d01-b42d-00cf4fc964ff", common},
		{named, "avatar", "https://cdn.example/12345.png", common},
		{kept, "customer_name", "Theodora Abelsgård", common},
		{number, "customer_id", "4711000", common},
		{number, "phone", "22334455", strong},
		{rest, "name", "Theodora Abelsgård", strong},
		{rest, "payload.customer.phone", "+45 22 33 44 55", strong},
		{rest, "title", "Blue shirt, size 4", common}, // of an order line that is deleted
		{rest, "product_name", "Blue shirt", common},
		{rest, "checkout.anything", "t@abelsgaard.example", strong},
		{rest, "checkout.coupon", "SUMMER 26", common},
	} {
		v := test.as
		v.Path, v.Text = test.path, test.text
		require.Equal(t, test.want, rankOf(v), "%s %q", test.path, test.text)
	}
}

func TestChooseValues(t *testing.T) {
	t.Parallel()
	value := func(ref, path, text string) store.OldValue {
		return store.OldValue{Ref: ref, Path: path, Text: text, Erased: true, Named: true}
	}
	kept := value("E3", "customer_name", "Shop Ltd. Odense")
	kept.Erased = false
	values := []store.OldValue{
		value("E1", "customer_name", "Theodora Abelsgård"), value("E1", "email", "t@abelsgaard.example"), value("E1", "recipient", "THEODORA ABELSGÅRD"),
		value("E1", "engraving", "For Theodora Abelsgård"), value("E1", "last_name", "Abelsgård"), value("E1", "first_name", "Theodora"),
		value("E1", "street", "Main Road 1"), value("E1", "company", "Shop Ltd. Odense"), value("E1", "note", "please ring"),
		value("E2", "customer_name", "Theodora Abelsgård"), value("E2", "email", "T@abelsgaard.example"),
		value("E3", "street", "Main Road 1"), kept,
	}
	var texts []string
	for _, v := range chooseValues(values, []string{"E1"}, []string{"Please ring"}) {
		require.Zero(t, v.Owner)
		texts = append(texts, v.Forms[0])
	}
	require.Equal(t, []string{"t@abelsgaard.example", "Theodora Abelsgård", "Theodora", "Abelsgård"}, texts,
		"once, though another order of the same person has it; not what another person has, what stays, the placeholder, or what holds another value")
}

func TestFormsOfValues(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"Nygade 17"}, formsOf(" Nygade 17\nsecond floor"))
	require.Equal(t, []string{"Ærø 1/2", `\u00c6r\u00f8 1/2`, `\u00c6r\u00f8 1\/2`}, formsOf("Ærø 1/2"))
	require.Equal(t, []string{`a "b" \c`, `a \"b\" \\c`, `a ""b"" \\c`}, formsOf(`a "b" \c`))
	require.Equal(t, []string{"a&b@c.example", "a%26b%40c.example"}, formsOf("a&b@c.example"))
	require.Equal(t, []string{"+45 22 33 44 55", "4522334455"}, formsOf("+45 22 33 44 55"))
	require.Contains(t, formsOf("smile 😀"), `smile \ud83d\ude00`)
	require.Len(t, []rune(formsOf(strings.Repeat("ø", 500))[0]), longestValue)
}
