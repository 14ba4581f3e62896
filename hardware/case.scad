// The recorder's case: body, lid with clips, cap of the mark button. Every size comes from device.toml through case_sizes.scad.
// openscad -D 'what="body"' -o body.stl case.scad     what: body, lid, cap, closed, exploded, parts
include <case_sizes.scad>

what = "closed";
$fn = 48;

corner = 4;            // outer rounding
corner_inside = 0.8;   // parts stand close to the corners
bracket = 1.6;         // walls that hold a part at its corners
bracket_long = 6;
bracket_high = 4;
tongue = 1.6;          // the lid's clips
tongue_deep = 3.8;
snap = 0.5;            // how far a tongue's ridge goes into the wall
fit = 0.2;             // air between lid and body
cap_flange = 1.2;
mesh_seat = [8, 1];    // diameter and depth

outer = [inside.x + 2 * wall, inside.y + 2 * wall, inside.z + wall]; // the body; the lid adds a wall

function named(list, name) = [for (entry = list) if (entry[0] == name) entry][0];
function corner_of(name) = named(rooms, name)[1];
function size_of(name) = named(rooms, name)[2];
function middle_of(name) = corner_of(name) + size_of(name) / 2;
function solid_middle(name) = named(solids, name)[1] + named(solids, name)[2] / 2;
function top_of(name) = named(solids, name)[1].z + named(solids, name)[2].z;

module plate(size, radius = corner) {
    linear_extrude(size.z)
        offset(radius) offset(-radius) square([size.x, size.y]);
}

// --- what is cut out of the walls ------------------------------------------------------------------------------------

module usb_slot() { // open to the lid, so that it prints without support; around it room for the plug
    middle = solid_middle("pico").y;
    low = top_of("pico") - pico_opening.y;
    translate([-wall - 1, middle - pico_opening.x / 2, low]) cube([wall + 2, pico_opening.x, inside.z]);
    plug_room();
}

module plug_room() { // the plug's own case goes in as far as the wall can spare
    low = top_of("pico") - pico_opening.y;
    translate([-wall - 1, solid_middle("pico").y - 6, low - 2]) cube([1 + wall - least_wall, 12, 2 * inside.z]);
}

module card_slot() {
    middle = solid_middle("card").y;
    translate([inside.x - 1, middle - card_opening.x / 2, top_of("card") - card_opening.y])
        cube([wall + 2, card_opening.x, card_opening.y]);
    // a fingertip must follow the card in
    translate([inside.x + least_wall + 10, middle, top_of("card") - card_opening.y / 2])
        scale([1, 1, 0.7]) sphere(r = 10);
}

module switch_slot() {
    middle = [solid_middle("switch").x, -wall, solid_middle("switch").z];
    translate(middle + [-switch_opening.x / 2, -10, -switch_opening.y / 2])
        cube([switch_opening.x, 10 + wall + 1, switch_opening.y]);
}

module power_button_hole() { // a pin reaches it, a finger does not
    translate(concat([corner_of("shim").x + 3.5, corner_of("shim").y + 4.5], [-wall - 1])) cylinder(d = shim_opening.x, h = wall + 2);
}

module groove(clip) {
    along(clip) translate([-1, -fit - snap, -tongue_deep / 2 - 0.6]) cube([clip[2] + 2, snap + fit + 0.01, 1.2]);
}

// The start of a clip at the inner edge of its wall: x along the wall, y into the case, z 0 at the body's rim.
module along(clip) {
    if (clip[0] == "switch") translate([clip[1], 0, inside.z]) children();
    if (clip[0] == "far") translate([clip[1] + clip[2], inside.y, inside.z]) rotate(180) children();
    if (clip[0] == "usb") translate([0, clip[1] + clip[2], inside.z]) rotate(-90) children();
    if (clip[0] == "card") translate([inside.x, clip[1], inside.z]) rotate(90) children();
}

// --- body ------------------------------------------------------------------------------------------------------------

module brackets() {
    intersection() {
        plate(inside, corner_inside);
        bracket_walls();
    }
}

module bracket_walls() {
    difference() {
        for (room = rooms) if (room[1].z < 0.01) { // what lies on the floor is held at its corners
            high = min(bracket_high, room[2].z * 0.7);
            intersection() {
                translate(room[1] - [bracket, bracket, 0]) cube([room[2].x + 2 * bracket, room[2].y + 2 * bracket, high]);
                for (x = [0, 1], y = [0, 1])
                    translate(room[1] + [x * room[2].x - bracket_long / 2, y * room[2].y - bracket_long / 2, 0])
                        cube([bracket_long, bracket_long, high]);
            }
        }
        for (room = rooms) translate(room[1] - [0.01, 0.01, 0.01]) cube(room[2] + [0.02, 0.02, 20]);
    }
}

module button_post() { // two walls under the button; its legs go down between them
    at = corner_of("button");
    size = size_of("button");
    for (y = [0, size.y - 1.8]) translate([at.x, at.y + y, 0]) cube([size.x, 1.8, at.z]);
    for (x = [-bracket, size.x]) translate([at.x + x, at.y, 0]) cube([bracket, 1.8, at.z + 2.5]);
    for (x = [-bracket, size.x]) translate([at.x + x, at.y + size.y - 1.8, 0]) cube([bracket, 1.8, at.z + 2.5]);
}

module switch_shelf() {
    at = corner_of("switch");
    size = size_of("switch");
    translate([at.x - bracket, 0, 0]) cube([size.x + 2 * bracket, size.y, at.z]);
    translate([at.x - bracket, size.y, 0]) cube([size.x + 2 * bracket, bracket, at.z + 2.4]); // holds it against the wall
    for (x = [-bracket, size.x]) translate([at.x + x, 0, 0]) cube([bracket, size.y + bracket, at.z + 2.4]);
}

module switch_frame() { // so that no pocket slides it: the lever ends below the frame's edge
    middle = [solid_middle("switch").x, -wall, solid_middle("switch").z];
    translate(middle) rotate([90, 0, 0]) hull() {
        translate([-8, -6.2, -0.01]) cube([16, 10.4, 0.02]);
        translate([-6.2, -3.4, 2.4]) cube([12.4, 6.4, 0.02]);
    }
}

module lanyard_eye() {
    translate([inside.x + wall - 3, inside.y + wall - 3, -wall]) difference() {
        hull() { cylinder(d = 7, h = 4.5); translate([3.6, 3.6, 0]) cylinder(d = 7, h = 4.5); }
        translate([3.6, 3.6, -1]) cylinder(d = 3, h = 7);
    }
}

module body() {
    difference() {
        union() {
            difference() {
                translate([-wall, -wall, -wall]) plate(outer);
                plate([inside.x, inside.y, inside.z + 1], corner_inside);
            }
            brackets();
            button_post();
            switch_shelf();
            switch_frame();
            difference() { lanyard_eye(); plate(inside, corner_inside); }
        }
        usb_slot();
        card_slot();
        switch_slot();
        power_button_hole();
        for (clip = clips) groove(clip);
    }
}

// --- lid -------------------------------------------------------------------------------------------------------------

module tongues() {
    for (clip = clips) along(clip) translate([0, fit, -tongue_deep]) {
        cube([clip[2], tongue, tongue_deep + 0.01]);
        translate([0, 0, tongue_deep / 2]) rotate([0, 90, 0]) // the ridge, sloped on both sides
            linear_extrude(clip[2]) polygon([[-0.9, 0], [0, -snap], [0.9, 0]]);
    }
}

module light_seat(cut) { // the pipe is pressed in from above; the LED pushed in from below
    at = solid_middle("led");
    under = inside.z - top_of("led");
    if (cut) {
        translate([at.x, at.y, inside.z - 20]) cylinder(d = lightpipe_opening.x, h = 40);
        translate([at.x, at.y, inside.z - under - 3]) cylinder(d = 4.2, h = 3.01);
    } else translate([at.x, at.y, inside.z - under - 2]) cylinder(d = 4.2 + 2 * 1.3, h = under + 2.01);
}

module microphone_seat(cut) { // a ring for the mesh and the foam; the sound hole in its middle
    at = solid_middle("microphone");
    if (cut) translate([at.x, at.y, inside.z - 5]) cylinder(d = microphone_opening.x, h = 20);
    else translate([at.x, at.y, inside.z - mesh_seat.y]) difference() {
        cylinder(d = mesh_seat.x + 2 * 1.5, h = mesh_seat.y + 0.01);
        translate([0, 0, -1]) cylinder(d = mesh_seat.x, h = mesh_seat.y + 1);
    }
}

module cap_hole() {
    at = solid_middle("button");
    translate([at.x, at.y, inside.z - 1]) cylinder(d = button_opening.x + 2 * fit, h = 20);
}

module lid() {
    difference() {
        union() {
            translate([-wall, -wall, inside.z]) plate([outer.x, outer.y, wall]);
            tongues();
            light_seat(false);
            microphone_seat(false);
        }
        light_seat(true);
        microphone_seat(true);
        cap_hole();
        plug_room();
    }
}

module cap() { // on the button, its flange under the lid, a dot on top that a thumb finds
    at = solid_middle("button");
    translate([at.x, at.y, top_of("button")]) {
        cylinder(d = button_opening.x + 2.6, h = cap_flange);
        cylinder(d = button_opening.x - fit, h = inside.z + wall - top_of("button") + 0.8);
        translate([0, 0, inside.z + wall - top_of("button") + 0.8]) intersection() {
            sphere(d = 2.6);
            translate([0, 0, -0.3]) cylinder(d = 4, h = 2);
        }
    }
}

// --- views -----------------------------------------------------------------------------------------------------------

colours = [["shim", "DimGray"], ["pico", "SeaGreen"], ["board", "Peru"], ["cell", "Silver"], ["card", "SteelBlue"],
    ["gauge", "MediumPurple"], ["clock", "Teal"], ["switch", "DarkSlateGray"], ["motor", "Goldenrod"],
    ["button", "Black"], ["led", "Red"], ["microphone", "Orchid"]];

module parts() {
    for (solid = solids) color(named(colours, solid[0])[1]) translate(solid[1]) cube(solid[2]);
}

if (what == "body") translate([wall, wall, wall]) body();
if (what == "lid") translate([wall, outer.y - wall, inside.z + wall]) rotate([180, 0, 0]) lid();
if (what == "cap") translate(-[solid_middle("button").x, solid_middle("button").y, top_of("button")]) cap();
if (what == "closed") { color("SlateGray") body(); color("LightSlateGray") lid(); color("OrangeRed") cap(); }
if (what == "parts") { color("SlateGray") body(); parts(); }
if (what == "exploded") {
    color("SlateGray") body();
    translate([0, 0, 22]) parts();
    translate([0, 0, 52]) color("OrangeRed") cap();
    translate([0, 0, 62]) color("LightSlateGray", 0.9) lid();
}
