package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// plan is everything that is known before the first part starts.
type plan struct {
	port  int
	ready Ready
	files files
}

// files are the paths of what the parts read.
type files struct {
	serverCertificate string
	serverKey         string
	serviceAccountKey string
	tokens            string
	auditPolicy       string
}

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// writeFiles makes keys, users and policies on the spot, for this run alone.
func writeFiles(directory string, address *net.TCPAddr, options Options) (*plan, error) {
	in := func(name string) string { return filepath.Join(directory, name) }
	plan := &plan{
		port: address.Port,
		ready: Ready{
			Server:               "https://" + address.String(),
			Directory:            directory,
			CertificateAuthority: in("ca.crt"),
			Kubeconfigs:          map[string]string{},
			Tokens:               map[string]string{},
		},
		files: files{
			serverCertificate: in("server.crt"),
			serverKey:         in("server.key"),
			serviceAccountKey: in("service-account.key"),
			tokens:            in("tokens.csv"),
			auditPolicy:       in("audit-policy.yaml"),
		},
	}
	if err := writeCertificates(plan); err != nil {
		return nil, fmt.Errorf("make the certificates: %w", err)
	}
	if err := writeUsers(plan, append(standingUsers(), options.Users...)); err != nil {
		return nil, fmt.Errorf("make the users: %w", err)
	}
	if options.Audit {
		plan.ready.AuditLog = in("audit.log")
		if err := os.WriteFile(plan.files.auditPolicy, []byte(auditPolicy), 0o600); err != nil {
			return nil, fmt.Errorf("write the audit policy: %w", err)
		}
	}
	return plan, nil
}
