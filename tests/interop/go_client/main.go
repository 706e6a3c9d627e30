// A TLS client by Go's crypto/tls.  It visits a server several times in a row with one session cache; on every visit a
// line goes out and comes back.  What it saw is a JSON list on standard output, one object for each visit.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"reflect"
	"strings"
	"time"
)

type seen struct {
	Version  string `json:"version"`
	Cipher   string `json:"cipher"`
	Group    string `json:"group"`
	Protocol string `json:"protocol"`
	Resumed  bool   `json:"resumed"`
	Peer     string `json:"peer"`
	Staple   int    `json:"staple"`
	Error    string `json:"error"`
}

var versions = map[string]uint16{
	"TLSv1.0": tls.VersionTLS10, "TLSv1.1": tls.VersionTLS11, "TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13,
}

func main() {
	address := flag.String("address", "", "host:port")
	name := flag.String("name", "", "the server name to ask for and to verify")
	version := flag.String("version", "", "the only version to speak")
	alpn := flag.String("alpn", "", "protocols to offer, with commas")
	trust := flag.String("trust", "", "PEM file with authorities")
	certificate := flag.String("certificate", "", "PEM file of the client's certificate")
	key := flag.String("key", "", "PEM file of its key")
	visits := flag.Int("visits", 1, "how often")
	hybrid := flag.Bool("hybrid", false, "offer X25519MLKEM768 and no other group")
	flag.Parse()

	config := &tls.Config{ServerName: *name, RootCAs: x509.NewCertPool(), ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	config.MinVersion, config.MaxVersion = versions[*version], versions[*version]
	if pem, err := os.ReadFile(*trust); err != nil || !config.RootCAs.AppendCertsFromPEM(pem) {
		fail("no authorities: %v", err)
	}
	if *alpn != "" {
		config.NextProtos = strings.Split(*alpn, ",")
	}
	if *certificate != "" {
		pair, err := tls.LoadX509KeyPair(*certificate, *key)
		if err != nil {
			fail("no client certificate: %v", err)
		}
		// Shown whatever authorities the server names: it is for the server to refuse it.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	if *hybrid {
		config.CurvePreferences = []tls.CurveID{x25519MLKEM768}
	}
	all := make([]seen, *visits)
	for number := range all {
		all[number] = visit(*address, config)
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		fail("%v", err)
	}
}

// By its number, so that this compiles with a Go that does not know it.
const x25519MLKEM768 = tls.CurveID(4588)

func visit(address string, config *tls.Config) (found seen) {
	plain, err := net.DialTimeout("tcp", address, 15*time.Second)
	if err != nil {
		found.Error = err.Error()
		return
	}
	connection := tls.Client(plain, config)
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(15 * time.Second))
	if err := exchange(connection); err != nil {
		found.Error = err.Error()
		return
	}
	state := connection.ConnectionState()
	found.Version = strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1)
	found.Cipher = tls.CipherSuiteName(state.CipherSuite)
	found.Protocol = state.NegotiatedProtocol
	found.Resumed = state.DidResume
	found.Staple = len(state.OCSPResponse)
	if len(state.PeerCertificates) > 0 {
		found.Peer = state.PeerCertificates[0].Subject.CommonName
	}
	if group := reflect.ValueOf(state).FieldByName("CurveID"); group.IsValid() { // since Go 1.25
		found.Group = fmt.Sprint(group.Interface())
	}
	return
}

// With TLS 1.3 the server refuses a client after the client's handshake: the answer to the line tells.
func exchange(connection *tls.Conn) error {
	if err := connection.Handshake(); err != nil {
		return err
	}
	if _, err := connection.Write([]byte("hello")); err != nil {
		return err
	}
	answer := make([]byte, 5)
	for have := 0; have < len(answer); {
		count, err := connection.Read(answer[have:])
		if have += count; err != nil {
			return err
		}
	}
	if string(answer) != "hello" {
		return fmt.Errorf("the answer was %q", answer)
	}
	return nil
}

func fail(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(1)
}
