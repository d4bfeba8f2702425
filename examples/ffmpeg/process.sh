#!/bin/sh
# Makes a poster and a version of at most 720 lines of a video. ffmpeg jumps to what it needs of it, by ranges of $UPLOAD_URL.
set -eu

# A playlist may name any address, this machine's too: nothing but these formats is opened, and by HTTP alone.
input="-protocol_whitelist http,tcp -format_whitelist mov,matroska,avi,mpegts"

# V is a video, and not the picture of an album.
# shellcheck disable=SC2086 # one word an option
found=$(ffprobe -v error $input -select_streams V:0 -show_entries stream=width,height:format=duration -of json "$UPLOAD_URL")
case $found in
*height*) ;;
*)
  echo "there is no video in it" >&2
  exit 65
  ;;
esac

# shellcheck disable=SC2086 # one word an option
ffmpeg -nostdin -v error $input -i "$UPLOAD_URL" \
  -map 0:V:0 -vf thumbnail=10 -frames:v 1 -q:v 3 "$UPLOAD_OUTPUT_DIR/poster.jpg" \
  -map 0:V:0 -map '0:a:0?' -vf "scale=-2:'trunc(min(720,ih)/2)*2'" -pix_fmt yuv420p -c:v libx264 -preset veryfast -c:a aac \
  -movflags +faststart "$UPLOAD_OUTPUT_DIR/720p.mp4"

printf '%s' "$found" # the result
