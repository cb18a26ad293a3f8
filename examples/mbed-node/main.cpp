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
static uint16_t interval_s = 60;

// Put your sensors here. They give raw numbers, as the comments of payload.h want them: no floats needed.
static int16_t read_temperature() { return 2150; }  // 21.5 °C in steps of 0.01
static uint8_t read_humidity() { return PAYLOAD_REPORT_HUMIDITY_ABSENT; }  // no reading
static uint16_t read_battery() { return 3300; }  // mV

static void send_report()
{
    payload_report report = {};
    report.temperature = read_temperature();
    report.humidity = read_humidity();
    report.battery = read_battery();
    report.led = led;
    report.interval = interval_s;
    uint8_t bytes[PAYLOAD_REPORT_SIZE];
    uint16_t length = static_cast<uint16_t>(payload_pack_report(&report, bytes, sizeof bytes));
    // A refusal (duty cycle, a frame still on its way) costs this report only: the next one is already planned.
    int16_t sent = lorawan.send(MBED_CONF_LORA_APP_PORT, bytes, length, MSG_UNCONFIRMED_FLAG);
    if (sent < 0) {
        printf("Report not sent, code %d\r\n", sent);
    }
}

static void report_and_plan_next()
{
    send_report();
    queue.call_in(std::chrono::seconds(interval_s), report_and_plan_next);
}

static void receive_command()
{
    uint8_t bytes[30];
    uint8_t port;
    int flags;
    int16_t length = lorawan.receive(bytes, sizeof bytes, port, flags);
    payload_settings settings;
    if (length < 0 || !payload_parse_settings(port, bytes, static_cast<size_t>(length), &settings)) {
        return;
    }
    if (settings.has_led) {
        led = settings.led;
    }
    if (settings.has_interval) {
        interval_s = settings.interval;
    }
    // Report at once, so that the home sees the new state without waiting for the interval.
    send_report();
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
