#!/bin/sh
# Builds FFmpeg's libraries for the image: build.sh SOURCE PREFIX. SOURCE is FFmpeg's source, as `apt-get source` unpacks it.
#
# They have what measures a recording and makes a film's poster (storage/length_program.py, storage/poster_program.py), and
# nothing else: no program, no network, no file, no device, no filter, no encoder but the poster's. Under the LGPL.
set -eu
source=$1
prefix=$2

audio=aac,aac_latm,ac3,adpcm_ima_wav,adpcm_ms,alac,amrnb,amrwb,eac3,flac,mp1float,mp2float,mp3float,opus,vorbis
samples=pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,pcm_u8
video=h264,hevc,mjpeg,mpeg4,vp8,vp9

cd "$source"
./configure \
    --prefix="$prefix" --enable-shared --disable-static \
    --disable-autodetect --disable-debug --disable-doc --disable-everything --disable-network --disable-programs \
    --disable-x86asm \
    --enable-demuxer=aac,flac,matroska,mov,mp3,ogg,wav \
    --enable-decoder="$audio,$samples,$video" \
    --enable-parser=aac,aac_latm,ac3,flac,h264,hevc,mjpeg,mpeg4video,mpegaudio,opus,vorbis,vp8,vp9 \
    --enable-encoder=mjpeg
make --silent --jobs="${JOBS:-$(nproc)}" install
grep -q '^#define CONFIG_GPL 0$' config.h
grep -q '^#define CONFIG_NONFREE 0$' config.h
