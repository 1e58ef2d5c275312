#!/bin/sh
# Runs one node of Apache Kafka 4, broker and controller in one, from the jars in the folder STEADFAST_KAFKA_LIBS.
# Usage: kafka.sh PORT CONTROLLER_PORT FOLDER
set -eu
: "${STEADFAST_KAFKA_LIBS:?is to name the folder with the jars of Apache Kafka 4}"
mkdir -p "$3"
cat >"$3/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$2
controller.listener.names=CONTROLLER
inter.broker.listener.name=CLIENTS
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
listeners=CLIENTS://127.0.0.1:$1,CONTROLLER://127.0.0.1:$2
advertised.listeners=CLIENTS://127.0.0.1:$1
log.dirs=$3/data
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.heartbeat.interval.ms=1000
# A node that was killed may register again once its session has ended.
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
EOF
run() {
    exec java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
        -cp "$STEADFAST_KAFKA_LIBS/*" "$@"
}
if [ ! -e "$3/data/meta.properties" ]; then
    (run kafka.tools.StorageTool format --cluster-id c3RlYWRmYXN0LW5vdGljZQ --config "$3/server.properties")
fi
run kafka.Kafka "$3/server.properties"
