// The payloads of the node, as plain functions: no Mbed OS, no hardware, so that a computer can test them.
// The other end is payload-codecs/devices/mbed/led-and-sensors/, with the table of bytes in its device.toml.
#ifndef PAYLOAD_H
#define PAYLOAD_H

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace payload {

const uint8_t PORT = 15;
const size_t UPLINK_SIZE = 8;
const uint16_t SHORTEST_INTERVAL_S = 10;

// What the node reports. NAN stands for "no reading".
struct Report {
    float temperature_c;
    float humidity_percent;
    uint16_t battery_mv;
    bool led;
    uint16_t interval_s;
};

// What a downlink may change.
struct Settings {
    bool led;
    uint16_t interval_s;
};

inline void put_uint16(uint8_t *at, uint16_t value)
{
    at[0] = static_cast<uint8_t>(value >> 8);
    at[1] = static_cast<uint8_t>(value & 0xff);
}

inline uint16_t get_uint16(const uint8_t *at)
{
    return static_cast<uint16_t>((at[0] << 8) | at[1]);
}

// Hundredths of a degree; 0x8000 for no reading, so the range ends at -327.67 and 327.67.
inline uint16_t temperature_field(float celsius)
{
    if (std::isnan(celsius)) {
        return 0x8000;
    }
    float hundredths = std::round(celsius * 100.0f);
    hundredths = std::fmax(-32767.0f, std::fmin(32767.0f, hundredths));
    return static_cast<uint16_t>(static_cast<int16_t>(hundredths));
}

// Half percents; 255 for no reading.
inline uint8_t humidity_field(float percent)
{
    if (std::isnan(percent)) {
        return 255;
    }
    return static_cast<uint8_t>(std::fmax(0.0f, std::fmin(200.0f, std::round(percent * 2.0f))));
}

// Fills UPLINK_SIZE bytes at `out`.
inline void pack_uplink(const Report &report, uint8_t *out)
{
    put_uint16(out, temperature_field(report.temperature_c));
    out[2] = humidity_field(report.humidity_percent);
    put_uint16(out + 3, report.battery_mv);
    out[5] = report.led ? 1 : 0;
    put_uint16(out + 6, report.interval_s);
}

// Applies a downlink to `settings`. A malformed one changes nothing, and the answer is false.
inline bool apply_downlink(const uint8_t *bytes, size_t length, Settings *settings)
{
    Settings wanted = *settings;
    for (size_t at = 0; at < length;) {
        if (bytes[at] == 1 && at + 1 < length && bytes[at + 1] <= 1) {
            wanted.led = bytes[at + 1] == 1;
            at += 2;
        } else if (bytes[at] == 2 && at + 2 < length && get_uint16(bytes + at + 1) >= SHORTEST_INTERVAL_S) {
            wanted.interval_s = get_uint16(bytes + at + 1);
            at += 3;
        } else {
            return false;
        }
    }
    *settings = wanted;
    return true;
}

} // namespace payload

#endif
