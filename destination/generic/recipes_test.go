package generic_test

import (
	"flag"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"kvit/config/configtest"
	"kvit/destination"
	"kvit/destination/destinationtest"
	"kvit/destination/generic"
)

var update = flag.Bool("update", false, "write the requests into the recipes")

const recipes = "../../docs/destinations/recipes"

// recipeEnvironment are the variables that the recipes name.
var recipeEnvironment = configtest.Environment{
	"PARTNER_ADS_KEY": "example-key", "MAILCHIMP_KEY": "example-us21", "BREVO_KEY": "xkeysib-example",
	"HEYLOYALTY_KEY": "example-key", "HEYLOYALTY_SECRET": "example-secret",
}

// recipeEvent is what a Danish shop writes of an order, full of what has to be escaped.
const recipeEvent = `{
 "customer": {"id": "cust-1042", "email": "jane.doe@example.com", "phone": "+4512345678", "first_name": "Jane", "last_name": "Dø & Søn",
  "birthday": "1990-05-17", "address": {"postal_code": "8000", "city": "Aarhus C", "country": "DK"}},
 "order": {"ref": "E100042", "currency": "DKK", "total": "749.00", "tax": "149.80", "shipping": "39.20", "discount": "10.50", "coupon": "MAY&JUNE=10%",
  "items": [{"sku": "SKU-9", "name": "Lamp | large", "category": "Lamps: new", "quantity": 2, "unit_price": "299.00"}, {"sku": "SKU 10", "quantity": 1, "unit_price": "101.5"}]},
 "cart": {"id": "cart-77", "currency": "DKK", "total": "299.00"},
 "client": {"partner_ads_paid": "55", "partner_ads_pacid": "a1b2", "at_gd": "gd-1&2", "awc": "1001_1403695822_a430", "cjevent": "b7f2a9d4"}
}`

var (
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	origin    = regexp.MustCompile(`https://[a-z0-9.-]+`)
	marker    = "What is sent, for the example of the test:\n\n"
)

// TestRecipes loads each recipe, and compares what it sends with what its page shows.
func TestRecipes(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(recipes, "*.md"))
	require.NoError(t, err)
	require.Len(t, files, 7)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			page := string(content)
			blocks := yamlBlock.FindAllStringSubmatch(page, -1)
			require.Len(t, blocks, 1)
			before, shown, found := strings.Cut(page, marker)
			require.True(t, found)
			sent := sentBy(t, blocks[0][1])
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(before+marker+sent), 0o644))
				return
			}
			require.Equal(t, shown, sent)
		})
	}
}

// sentBy is what a recipe sends for each of its events: the request in full but for what changes with the time.
func sentBy(t *testing.T, recipe string) string {
	t.Helper()
	require.NotPanics(t, func() { configtest.Destination(t, generic.Kind, recipe, recipeEnvironment) })
	url, last := destinationtest.Recording(t, http.StatusOK, "")
	local := strings.Replace(origin.ReplaceAllString(recipe, url), "kind: http\n", "kind: http\n    allow_private: true\n", 1)
	made, err := configtest.Destination(t, generic.Kind, local, recipeEnvironment).Settings.(generic.Options).Make(destination.Common{})
	require.NoError(t, err)
	require.Subset(t, made.Traits().Events, made.Traits().States)
	var b strings.Builder
	for i, name := range made.Traits().Events {
		destinationtest.Deliver(t, made, destinationtest.EventWith(t, name, recipeEvent))
		first := last()
		destinationtest.Deliver(t, made, destinationtest.EventWith(t, name, recipeEvent))
		require.Equal(t, withoutTime(first), withoutTime(last()), "a repeat is the same")
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString("`" + name + "`\n\n```\n" + shownRequest(first) + "```\n")
	}
	return b.String()
}

// volatile changes with the time where the time is signed.
func withoutTime(r destinationtest.Request) destinationtest.Request {
	if r.Header.Get("X-Request-Timestamp") != "" {
		r.Header = r.Header.Clone()
		r.Header.Set("Authorization", "Basic <key and signature>")
		r.Header.Set("X-Request-Timestamp", "<now>")
	}
	return r
}

func shownRequest(r destinationtest.Request) string {
	lines := []string{r.Method + " " + r.Path}
	var headers []string
	for name, values := range withoutTime(r).Header {
		if name != "User-Agent" && name != "Content-Length" {
			headers = append(headers, name+": "+strings.Join(values, ", "))
		}
	}
	slices.Sort(headers)
	lines = append(lines, headers...)
	if r.Body != "" {
		lines = append(lines, "", r.Body)
	}
	return strings.Join(lines, "\n") + "\n"
}

// TestRecipesLeaveOut: a sale that no partner has brought, and a person without an address, are not sent.
func TestRecipesLeaveOut(t *testing.T) {
	t.Parallel()
	for recipe, reason := range map[string]string{
		"partner_ads": "client.partner_ads_paid: is missing, and the destination's when asks for it",
		"adtraction":  "client.at_gd: is missing, and the destination's when asks for it",
		"awin":        "client.awc: is missing, and the destination's when asks for it",
		"cj":          "client.cjevent: is missing, and the destination's when asks for it",
		"mailchimp":   "customer.email: is missing, and the destination's when asks for it",
		"brevo":       "customer.email: is missing, and the destination's when asks for it",
	} {
		content, err := os.ReadFile(filepath.Join(recipes, recipe+".md"))
		require.NoError(t, err)
		made, err := configtest.Destination(t, generic.Kind, yamlBlock.FindStringSubmatch(string(content))[1], recipeEnvironment).Settings.(generic.Options).Make(destination.Common{})
		require.NoError(t, err)
		event := destinationtest.EventWith(t, "order_paid", `{"order": {"ref": "E1", "total": "1.00", "currency": "DKK", "items": [{"sku": "1"}]}}`)
		require.Equal(t, &destination.Error{Kind: destination.Rejected, Reason: reason}, destinationtest.Fail(t, made, event), recipe)
	}
}

// TestAwinLines: what Awin's page adds for the lines of an order.
func TestAwinLines(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join(recipes, "awin.md"))
	require.NoError(t, err)
	added := regexp.MustCompile("(?s)\n```\n([p\"].*?)\n```").FindAllStringSubmatch(string(content), -1)
	require.Len(t, added, 2)
	sent := sentFor(t, "        query:\n          "+added[0][1]+"\n          "+added[1][1]+"\n", recipeEvent).Path
	query, err := neturl.Parse(sent)
	require.NoError(t, err)
	require.Equal(t, neturl.Values{
		"parts": {"LAMPS  NEW:598.00|DEFAULT:101.50"},
		"bd[0]": {"AW:P|1001|E100042|SKU-9|Lamp   large|299.00|2|SKU-9|DEFAULT|Lamps: new"},
		"bd[1]": {"AW:P|1001|E100042|SKU 10||101.50|1|SKU 10|DEFAULT|"},
	}, query.Query())
}

// TestRecipeOptions: what the pages offer beside their configurations.
func TestRecipeOptions(t *testing.T) {
	t.Parallel()
	for page, want := range map[string]neturl.Values{
		"adtraction.md": {"xd": {"0cba00ca3da1b283a57287bcceb17e35"}, "ct": {"0"}},
		"cj.md":         {"CUST_STATUS": {"Return"}},
	} {
		content, err := os.ReadFile(filepath.Join(recipes, page))
		require.NoError(t, err)
		_, row, found := strings.Cut(string(content), "| more parameters |")
		require.True(t, found)
		row, _, _ = strings.Cut(row, "\n")
		var lines []string
		for _, option := range regexp.MustCompile("`([A-Za-z_]+: \"[^`]+)`").FindAllStringSubmatch(row, -1) {
			lines = append(lines, "          "+strings.ReplaceAll(option[1], `\|`, "|")+"\n")
		}
		sent, err := neturl.Parse(sentFor(t, "        query:\n"+strings.Join(lines, ""), recipeEvent).Path)
		require.NoError(t, err)
		require.Equal(t, want, sent.Query())
	}
}
