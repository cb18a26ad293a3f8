// How payload.h hangs in Mbed OS' stock LoRaWAN example: a sketch of the parts that change.
// Everything else (radio helper, trace helper, mbed_app.json with your keys) stays as in mbed-os-example-lorawan.

#include "mbed.h"
#include "lorawan/LoRaWANInterface.h"
#include "events/EventQueue.h"
#include "lora_radio_helper.h"
#include "payload.h"

static events::EventQueue queue(10 * EVENTS_EVENT_SIZE);
static LoRaWANInterface lorawan(radio);
static lorawan_app_callbacks_t callbacks;

static DigitalOut led(LED1);
static payload::Settings settings = {false, 60};

// Put your sensors here; NAN where there is no reading.
static float read_temperature_c() { return 21.5f; }
static float read_humidity_percent() { return NAN; }
static uint16_t read_battery_mv() { return 3300; }

static void send_report()
{
    payload::Report report = {read_temperature_c(), read_humidity_percent(), read_battery_mv(), settings.led,
                              settings.interval_s};
    uint8_t bytes[payload::UPLINK_SIZE];
    payload::pack_uplink(report, bytes);
    // A refusal (duty cycle, a frame still on its way) costs this report only: the next one is already planned.
    int16_t sent = lorawan.send(payload::PORT, bytes, sizeof bytes, MSG_UNCONFIRMED_FLAG);
    if (sent < 0) {
        printf("Report not sent, code %d\r\n", sent);
    }
}

static void report_and_plan_next()
{
    send_report();
    queue.call_in(std::chrono::seconds(settings.interval_s), report_and_plan_next);
}

static void receive_command()
{
    uint8_t bytes[30];
    uint8_t port;
    int flags;
    int16_t length = lorawan.receive(bytes, sizeof bytes, port, flags);
    if (length < 0 || port != payload::PORT) {
        return;
    }
    if (payload::apply_downlink(bytes, static_cast<size_t>(length), &settings)) {
        led = settings.led;
        // Report at once, so that the home sees the new state without waiting for the interval.
        send_report();
    }
}

static void on_lorawan_event(lorawan_event_t event)
{
    switch (event) {
        case CONNECTED:
            report_and_plan_next();
            break;
        case RX_DONE:
            receive_command();
            break;
        case JOIN_FAILURE:
            printf("Join failed: check the keys in mbed_app.json\r\n");
            break;
        default:
            break;
    }
}

int main()
{
    if (lorawan.initialize(&queue) != LORAWAN_STATUS_OK) {
        printf("LoRaWAN could not be initialized\r\n");
        return 1;
    }
    callbacks.events = mbed::callback(on_lorawan_event);
    lorawan.add_app_callbacks(&callbacks);
    lorawan.enable_adaptive_datarate();
    lorawan_status_t status = lorawan.connect();
    if (status != LORAWAN_STATUS_OK && status != LORAWAN_STATUS_CONNECT_IN_PROGRESS) {
        printf("Connection failed, code %d\r\n", status);
        return 1;
    }
    queue.dispatch_forever();
}
