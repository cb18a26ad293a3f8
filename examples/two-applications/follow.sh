#!/bin/sh
# The lamp in the house follows the LED at the garden's gate. Arguments go on to Mosquitto's clients, such as -h and -p.
mosquitto_sub "$@" -q 1 -t ttn/garden/gate/led | while read -r led; do
    # The same value again, after the broker was away, is no news.
    [ "$led" = "$last" ] && continue
    last=$led
    echo "garden/gate is $led: house/lamp too"
    mosquitto_pub "$@" -q 1 -t ttn/house/lamp/led/set -m "$led"
done
