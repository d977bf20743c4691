// Package erasure is the way of an order: when it is due, how it is erased in batches and with which
// certificates, what a person may ask for, and how providers are told. What a policy means is in
// erasure/policy, what an erasure leaves behind in erasure/proof.
package erasure
