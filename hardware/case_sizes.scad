// Made by tools/hardware.py out of device.toml. Millimetres; x from the USB's end, y from the switch's side.

wall = 2.0;
least_wall = 1.2;
gap = 0.4;
inside = [100, 66.4, 12.8];
microphone_opening = [2];
switch_opening = [5, 2.4];
button_opening = [8];
lightpipe_opening = [3.1];
pico_opening = [9, 4];
card_opening = [14, 2.2];
shim_opening = [1.5];

// [name, lower corner of its room, size of its room]
rooms = [
    ["shim", [0, 0, 0], [52.8, 22.8, 8.2]],
    ["pico", [0, 0, 8.2], [52.8, 22.8, 4.3]],
    ["board", [0, 28.2, 0], [39.9, 37.8, 12.4]],
    ["cell", [42, 28.2, 0], [30.6, 37.6, 6.05]],
    ["card", [75.9, 39.6, 0], [24.06, 26.6, 4.4]],
    ["gauge", [76, 12, 0], [21.52, 26.6, 5.4]],
    ["clock", [58, 0, 0], [15.8, 15.3, 9.4]],
    ["switch", [76, 0, 4], [9.8, 4.9, 4.3]],
    ["motor", [88.5, 0, 0], [11, 11, 3.3]],
    ["button", [58, 18.6, 1], [7.1, 7.1, 10.2]],
    ["led", [68.5, 19.6, 3.9], [4.9, 4.9, 6]],
    ["microphone", [77, 44, 6.4], [17.71, 13.9, 4]],
];

// the parts themselves, with their tolerance
solids = [
    ["shim", [0.4, 0.4, 0], [52, 22, 7.8]],
    ["pico", [0.4, 0.4, 8.2], [52, 22, 3.9]],
    ["board", [0.4, 28.6, 0], [39.1, 37, 12]],
    ["cell", [42.4, 28.6, 0], [29.8, 36.8, 5.55]],
    ["card", [76.3, 40, 0], [23.26, 25.8, 4]],
    ["gauge", [76.4, 12.4, 0], [20.72, 25.8, 5]],
    ["clock", [58.4, 0.4, 0], [15, 14.5, 9]],
    ["switch", [76.4, 0.4, 4], [9, 4.1, 3.9]],
    ["motor", [88.9, 0.4, 0], [10.2, 10.2, 2.9]],
    ["button", [58.4, 19, 1], [6.3, 6.3, 9.8]],
    ["led", [68.9, 20, 3.9], [4.1, 4.1, 5.6]],
    ["microphone", [77.4, 44.4, 6.8], [16.91, 13.1, 3.6]],
];

// [wall, from, width] of the lid's tongues
clips = [
    ["usb", 23.2, 4.6],
    ["switch", 53.4, 4.4],
    ["switch", 89.0, 8.0],
    ["card", 18.0, 14.0],
    ["far", 46.0, 10.0],
    ["far", 62.0, 9.0],
];
