//go:build chart

package chart

import (
	"fmt"
	"testing"
	"time"
)

// TestReplicasAreLeftToTheAutoscaler: a Deployment that names a number would take its pods back at every upgrade.
func TestReplicasAreLeftToTheAutoscaler(t *testing.T) {
	eachProfile(t, func(t *testing.T, all objects) {
		for _, name := range []string{"auth", "rooms", "edge", "web"} {
			scaled := all.has("HorizontalPodAutoscaler", "parley-"+name) || all.has("ScaledObject", "parley-"+name)
			if has := all.find(t, "Deployment", "parley-"+name).at("spec", "replicas") != nil; has == scaled {
				t.Errorf("%s: an autoscaler: %v, replicas: %v", name, scaled, has)
			}
		}
	})
}

// TestEdgesScaleByConnections: up soon, down one by one.
func TestEdgesScaleByConnections(t *testing.T) {
	spec := render(t, profiles["production"]...).find(t, "HorizontalPodAutoscaler", "parley-edge").in("spec")
	metric := spec.list("metrics")[0]
	if metric.text("pods", "metric", "name") != "parley_edge_connections" || metric.text("pods", "target", "averageValue") != "5000" {
		t.Errorf("the first metric is %v", metric)
	}
	if spec.list("metrics")[1].text("containerResource", "name") != "cpu" {
		t.Errorf("the second metric is %v", spec.list("metrics")[1])
	}
	down := spec.in("behavior", "scaleDown")
	if down.number("stabilizationWindowSeconds") < 300 || down.list("policies")[0].number("value") != 1 || down.list("policies")[0].number("periodSeconds") < 120 {
		t.Errorf("edges go as fast as %v", down)
	}
	if spec.number("minReplicas") < 2 {
		t.Error("one edge is too few for production")
	}
	for _, trigger := range render(t, profiles["everything"]...).find(t, "ScaledObject", "parley-edge").list("spec", "triggers") {
		query := trigger.text("metadata", "query")
		if trigger.text("type") == "prometheus" && query != `sum(parley_edge_connections{namespace="chat",release="parley"})` {
			t.Errorf("KEDA asks %s", query)
		}
	}
}

// TestDrainFitsTheGracePeriod: what an edge is told to take is less than what the kubelet gives it.
func TestDrainFitsTheGracePeriod(t *testing.T) {
	eachProfile(t, func(t *testing.T, all objects) {
		edge := all.component(t, "edge")
		seconds := func(variable string) int {
			d, err := time.ParseDuration(edge.env(variable))
			if err != nil {
				t.Fatal(err)
			}
			return int(d.Seconds())
		}
		delay, spread, grace := seconds("PARLEY_DRAIN_DELAY"), seconds("PARLEY_DRAIN_SPREAD"), seconds("PARLEY_DRAIN_GRACE")
		// The listener may take 10 s more, once the sockets are gone.
		if kill := edge.spec.number("terminationGracePeriodSeconds"); delay < 5 || grace < delay+spread+5 || kill < grace+15 {
			t.Errorf("delay %d s, spread %d s, all of it %d s, killed after %d s", delay, spread, grace, kill)
		}
		if edge.spec.list("containers")[0].at("lifecycle") != nil {
			t.Error("an edge waits twice: before it is told to stop, and after")
		}
		for _, name := range []string{"auth", "rooms", "web"} {
			p := all.component(t, name)
			sleep := p.spec.list("containers")[0].number("lifecycle", "preStop", "sleep", "seconds")
			if sleep < 5 || p.spec.number("terminationGracePeriodSeconds") < sleep+25 {
				t.Errorf("%s stops after %d s, and is killed after %d s", name, sleep, p.spec.number("terminationGracePeriodSeconds"))
			}
		}
	})
	old := render(t, evaluation("--kube-version", "1.29.0")...)
	if old.component(t, "auth").spec.list("containers")[0].at("lifecycle") != nil {
		t.Error("Kubernetes 1.29 would refuse preStop.sleep")
	}
	nothing := render(t, evaluation("--set", "edge.drain.delaySeconds=0,edge.drain.spreadSeconds=0,edge.drain.closeSeconds=5,auth.drain.delaySeconds=0")...)
	if got := nothing.component(t, "edge").env("PARLEY_DRAIN_GRACE"); got != "5s" {
		t.Errorf("zeros are taken for nothing said: %s", got)
	}
	if nothing.component(t, "auth").spec.list("containers")[0].at("lifecycle") != nil {
		t.Error("auth sleeps for no time")
	}
}

// TestComponentsDifferFromDefaults: what a component says wins, also where it says no, none or nothing.
func TestComponentsDifferFromDefaults(t *testing.T) {
	all := render(t, evaluation("--set", "edge.podDisruptionBudget.enabled=false,web.replicas=0,auth.serviceAccount.create=false",
		"--set", "defaults.autoscaling.enabled=true,rooms.autoscaling.enabled=false,web.autoscaling.enabled=false,defaults.replicas=4")...)
	if all.has("PodDisruptionBudget", "parley-edge") || !all.has("PodDisruptionBudget", "parley-auth") {
		t.Error("the edge's PodDisruptionBudget was to go, and no other")
	}
	if all.has("HorizontalPodAutoscaler", "parley-rooms") || !all.has("HorizontalPodAutoscaler", "parley-edge") {
		t.Error("rooms was to have no autoscaler, and the edge one")
	}
	got := fmt.Sprint(all.find(t, "Deployment", "parley-rooms").at("spec", "replicas"), all.find(t, "Deployment", "parley-web").at("spec", "replicas"))
	if got != "4 0" {
		t.Errorf("replicas of rooms and web are %s, want 4 0", got)
	}
	none := render(t, evaluation("--set", "defaults.podSecurityContext.runAsUser=null")...) // as OpenShift wants it
	if got := none.component(t, "auth").spec.at("securityContext", "runAsUser"); got != nil {
		t.Errorf("auth runs as user %v", got)
	}
	web := render(t, profiles["everything"]...).component(t, "web").spec
	if got := fmt.Sprintln(web.text("dnsPolicy"), web.list("containers")[0].at("livenessProbe", "periodSeconds"), web.list("containers")[0].at("livenessProbe", "failureThreshold")); got != "Default 60 6\n" {
		t.Errorf("extraPodSpec and extraContainer made it %s", got)
	}
	if account := all.component(t, "auth").spec.text("serviceAccountName"); account != "default" {
		t.Errorf("auth runs as %s", account)
	}
}
