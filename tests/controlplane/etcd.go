package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdSocket is where the API server reaches etcd: a socket in the run's folder needs no port and
// lets nobody else in.
func etcdSocket(directory string) url.URL {
	return url.URL{Scheme: "unix", Path: filepath.Join(directory, "etcd.sock")}
}

func startEtcd(directory string) (*embed.Etcd, error) {
	config := embed.NewConfig()
	config.Dir = filepath.Join(directory, "etcd")
	config.LogLevel = "error"
	config.LogOutputs = []string{logPath(directory, "etcd")}
	config.ListenClientUrls = []url.URL{etcdSocket(directory)}
	// Nobody follows the advertised addresses, but they have to look like some; the peer port is
	// picked by the kernel and never used.
	config.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config.ListenPeerUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	// The data dies with the run, so it need not survive a power cut.
	config.UnsafeNoFsync = true
	config.QuotaBackendBytes = 8 << 30
	server, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	select {
	case <-server.Server.ReadyNotify():
		return server, nil
	case err := <-server.Err():
		server.Close()
		return nil, fmt.Errorf("start etcd: %w", err)
	case <-time.After(startDeadline):
		server.Close()
		return nil, fmt.Errorf("etcd is not ready after %s", startDeadline)
	}
}
