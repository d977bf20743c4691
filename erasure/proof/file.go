package proof

import "os"

// ReadFile is ReadCertificates for an export's file.
func ReadFile(file string, do func(Certificate) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return ReadCertificates(f, do)
}

// VerifyFile computes the hashes of an export anew. The error is a *BrokenError where the chain does not
// hold.
func VerifyFile(file string) (chain Chain, err error) {
	err = ReadFile(file, chain.Verify)
	return chain, err
}
